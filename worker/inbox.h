// Inbox: the receiving half of a stage's edges, the same for every transport that goes through host
// memory. It matches tensors that have arrived with the places that the executor asks them into.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cluster/mutex.h"
#include "kernels/backend.h"
#include "worker/transport.h"

namespace carousel {

// Thread-safe. Borrows the backend. Each edge copies to the device on a stream of its own: a tensor
// that must wait until its place is free may hold up those behind it on its edge, which are wanted
// later, but never those of another edge, which may be wanted first.
class Inbox {
 public:
  // `credits`: tensors and records that it has room for on each edge.
  Inbox(kernels::Backend* backend, int stage, int credits);

  // A whole tensor or record from a stage. `consumed` is called, on any thread, once its place here
  // is free again: the sender gets its credit back. An arrival without a credit fails the inbox,
  // and so does one with another tag or size than the wish that is next.
  void Deliver(int from_stage, const Tag& tag, std::string bytes, std::function<void()> consumed);

  kernels::Event Recv(int from_stage, const Tag& tag, kernels::Span span,
                      const kernels::Event& free);
  absl::StatusOr<std::string> ReceiveBytes(int from_stage, const Tag& tag);

  void Abort(const absl::Status& reason);
  absl::Status status() const;
  // Completes at the Abort, with its reason: for who feeds this inbox and should stop.
  kernels::Event aborted() const { return aborted_; }

  // Blocks until nothing is copied to the device any more; after Abort.
  void WaitUntilIdle();

 private:
  struct Arrival {
    Tag tag;
    std::string bytes;
    std::function<void()> consumed;
    std::shared_ptr<std::atomic<int>> held;  // of its edge
  };
  struct Wish {
    Tag tag;
    kernels::Span span;  // empty: a record, handed over as bytes
    std::string* record = nullptr;
    kernels::Event free, done;
  };
  struct Edge {
    std::deque<Arrival> arrived;
    std::deque<Wish> wished;
    // Arrivals that were not consumed yet; a copy under way may outlive the inbox.
    std::shared_ptr<std::atomic<int>> held = std::make_shared<std::atomic<int>>(0);
  };

  void Post(int from_stage, Wish wish);
  // Hands the front arrival to the front wish while there are both.
  void Match(int from_stage);
  struct Pair {
    Arrival arrival;
    Wish wish;
  };
  std::optional<Pair> TakePair(int from_stage);
  absl::Status Check(int from_stage, const Arrival& arrival, const Wish& wish) const;
  // The event of the copy; complete for a record.
  kernels::Event Copy(int from_stage, const Pair& pair) ABSL_EXCLUSIVE_LOCKS_REQUIRED(order_mutex_);

  kernels::Backend* const backend_;
  const int stage_, credits_;
  // Taken before mutex_. Pairs of an edge reach its stream in the order in which they were made: a
  // place that becomes free only after an earlier tensor was used must not hold that tensor up.
  Mutex order_mutex_;
  std::map<int, kernels::OwnedStream> streams_ ABSL_GUARDED_BY(order_mutex_);  // by edge
  kernels::Event aborted_ = kernels::Event::Pending();
  mutable Mutex mutex_;
  std::map<int, Edge> edges_ ABSL_GUARDED_BY(mutex_);
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace carousel
