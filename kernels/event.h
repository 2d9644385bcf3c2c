// Event: a point in a stream's work, or in a transfer's, that may lie in the future. It is what
// code waits for or hangs further work on, instead of touching results early.
#pragma once

#include <functional>
#include <memory>

#include "absl/status/status.h"

namespace carousel::kernels {

// A copyable handle on shared state; thread-safe. Completes once, with OK or with the error that
// made the work it stands for void.
class Event {
 public:
  // Already complete.
  Event();
  // To be completed by whoever made it.
  static Event Pending();

  void Complete(const absl::Status& status = absl::OkStatus());

  bool ready() const;

  // Blocks the calling thread; for the end of a step and for tests. Stage code hangs work on events
  // instead (Backend::Wait).
  absl::Status Wait() const;

  // Calls `then` with the outcome: at once if complete, else on the completing thread, which it
  // must not block.
  void OnReady(std::function<void(const absl::Status&)> then) const;

 private:
  struct State;
  explicit Event(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace carousel::kernels
