// SendQueue: what one directed edge has still to send, in order: the sending half of transports
// that go through host memory.
//
// A tensor stays on the device until it is next; then it is copied to the host and waits there for
// a credit. So of an edge at most one tensor lies on this side's host, and at most `credits` on the
// other side's, however far the sender's operations are ahead. Records need a credit as tensors do,
// and lie on this side's host until they have one; there is one a step.
#pragma once

#include <deque>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cluster/mutex.h"
#include "kernels/backend.h"
#include "worker/transport.h"

namespace carousel {

// Thread-safe; one thread at a time takes. Borrows the backend.
class SendQueue {
 public:
  explicit SendQueue(kernels::Backend* backend) : backend_(backend), stream_(backend) {}
  ~SendQueue() { Abort(absl::CancelledError("the edge is gone")); }

  // The event completes when the span may be written again: once the tensor is next and copied.
  kernels::Event Push(const Tag& tag, kernels::Span span, const kernels::Event& ready);
  void Push(const Tag& tag, std::string record);

  // The other side has made room for this many tensors or records.
  void AddCredits(int tensors);

  struct Parcel {
    Tag tag;
    std::string bytes;
  };
  // Blocks until something is next and there is room for it. An error if its content never came, or
  // the Abort's reason.
  absl::StatusOr<Parcel> Take();

  // Ends Take and every event. No span is read after WaitUntilIdle, which blocks while one is.
  void Abort(const absl::Status& reason);
  void WaitUntilIdle();

 private:
  struct Item {
    Parcel parcel;
    std::optional<kernels::Span> span;  // absent: a record
    kernels::Event ready, sent;
  };
  std::optional<Item> WaitForItem();
  absl::Status CopyToHost(Item& item);
  absl::Status WaitForCredit();

  kernels::Backend* const backend_;
  const kernels::OwnedStream stream_;  // the taker's

  Mutex mutex_;
  CondVar changed_;
  std::deque<Item> items_ ABSL_GUARDED_BY(mutex_);
  int credits_ ABSL_GUARDED_BY(mutex_) = 0;
  bool copying_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status over_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace carousel
