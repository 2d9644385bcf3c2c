// Who is alive. A lease is liveness only: it decides when to stop waiting for a silent worker, and
// never whether a write is good (epochs do that), so a wrong clock costs time and no data.
//
// The rule: the coordinator takes a worker for dead that was silent for T = dead_after; a worker
// that is out of contact stops by itself after stop_after < T. Each side uses its own monotonic
// clock. The worker counts from when it SENT the last heartbeat that was answered, the coordinator
// from when it received one; as receiving comes after sending, the worker stops first however long
// messages take, as long as the clocks run equally fast within the margin T - stop_after.
//
// Pure: time is an argument. Not thread-safe.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace carousel {

struct LeaseTerms {
  double heartbeat_every = 1;  // seconds, all of them
  double stop_after = 5;
  double dead_after = 8;
};

// kInvalidArgument unless 0 < heartbeat_every, 2 * heartbeat_every <= stop_after (one lost
// heartbeat is forgiven) and stop_after <= 0.9 * dead_after.
absl::Status CheckLeaseTerms(const LeaseTerms& terms);

// The coordinator's side.
class LeaseTable {
 public:
  explicit LeaseTable(const LeaseTerms& terms) : terms_(terms) {}

  // A heartbeat of `worker` arrived at `now`; its first makes it known. An old one changes nothing.
  void Renew(std::string_view worker, double now);
  void Forget(std::string_view worker);

  bool IsAlive(std::string_view worker, double now) const;  // false if unknown
  std::vector<std::string> Dead(double now) const;  // known and silent for too long; by name

  // When Dead will next have something new to say, if nobody renews; infinity if it never will.
  double NextDeadline(double now) const;

 private:
  LeaseTerms terms_;
  std::map<std::string, double, std::less<>> renewed_at_;
};

// The worker's side: may it still work at `now`? `sent_at` is when the last answered heartbeat
// left.
bool MayWork(const LeaseTerms& terms, double sent_at, double now);

}  // namespace carousel
