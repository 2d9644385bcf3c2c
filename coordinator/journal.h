// The journal: every event durable, in order, before anything follows from it. At rest it is a
// snapshot of the state and the events since; opening it folds them. A snapshot is written, and the
// events before it removed, in one batch every kEventsPerSnapshot events.
//
// Not thread-safe. The store outlives the journal and is this coordinator's alone.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cluster/store.h"
#include "proto/journal.pb.h"

namespace carousel {

inline constexpr int kEventsPerSnapshot = 512;

class Journal {
 public:
  // Reads what is there and folds it into `state`. kDataLoss if an event is missing or cannot be
  // read; kFailedPrecondition if a newer build wrote it.
  static absl::StatusOr<std::unique_ptr<Journal>> Open(Store* store, CoordinatorState* state);

  // Durable when it returns OK. After an error the event may or may not be there: stop, and let the
  // next start find out.
  absl::Status Append(const Event& event);

  // For an event that becomes durable in somebody else's batch: Entry goes into it, Wrote says that
  // it is there.
  StoreBatch Entry(const Event& event) const;
  void Wrote() { ++next_; }

  // Writes a snapshot if one is due. `state` has all events in it.
  absl::Status Cut(const CoordinatorState& state);

 private:
  Journal(Store* store, int64_t first, int64_t next) : store_(store), first_(first), next_(next) {}

  Store* const store_;
  int64_t first_;  // sequence number of the oldest event at rest
  int64_t next_;
};

}  // namespace carousel
