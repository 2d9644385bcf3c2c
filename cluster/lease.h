// Who is alive. A lease is liveness only: it decides when to stop waiting for a silent worker, and
// never whether a write is good (epochs do that), so a wrong clock costs time and no data.
//
// The rule: the coordinator takes a worker for dead that was silent for T = dead_after; a worker
// that is out of contact stops by itself before that. All of it follows from T (TermsOf), which the
// coordinator chooses and tells in Welcome.
//
//   worker       a heartbeat every heartbeat_every; a ping of its connection as often, and the
//                connection is over when one is not answered for ping_timeout
//   coordinator  dead when nothing came for dead_after
//
// If the wire goes dead at time p, the worker heard something at p or before, pings within
// heartbeat_every of it and stops by p + stop_after, stop_after = heartbeat_every + ping_timeout.
// The coordinator heard a heartbeat after p - heartbeat_every, and gives the worker up after
// p - heartbeat_every + T. The worker is first as long as stop_after + heartbeat_every < T, with
// the difference as margin for clocks that run unequally fast and messages that were under way.
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
  double stop_after = 4.8;
  double dead_after = 8;

  double ping_timeout() const { return stop_after - heartbeat_every; }
};

// What --lease-seconds may be.
inline constexpr double kLeastLeaseSeconds = 2;
inline constexpr double kMostLeaseSeconds = 3600;

// A heartbeat every eighth of `lease_seconds`, at least one a second; a worker stops after 0.6 of
// it. Valid for every length within the limits above.
LeaseTerms TermsOf(double lease_seconds);

// kInvalidArgument unless 0 < heartbeat_every, 2 * heartbeat_every <= stop_after (one lost
// heartbeat is forgiven) and stop_after + heartbeat_every <= 0.9 * dead_after.
absl::Status CheckLeaseTerms(const LeaseTerms& terms);

// The coordinator's side.
class LeaseTable {
 public:
  explicit LeaseTable(const LeaseTerms& terms) : terms_(terms) {}

  // A heartbeat of `worker` arrived at `now`; its first makes it known. An old one changes nothing.
  void Renew(std::string_view worker, double now);
  void Forget(std::string_view worker);

  std::vector<std::string> Dead(double now) const;  // known and silent for too long; by name

 private:
  LeaseTerms terms_;
  std::map<std::string, double, std::less<>> renewed_at_;
};

}  // namespace carousel
