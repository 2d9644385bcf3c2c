#include "kernels/event.h"

#include <utility>
#include <vector>

#include "kernels/check.h"
#include "kernels/mutex.h"

namespace carousel::kernels {

struct Event::State {
  Mutex mutex;
  CondVar completed;
  bool ready ABSL_GUARDED_BY(mutex) = false;
  absl::Status status ABSL_GUARDED_BY(mutex);
  std::vector<std::function<void(const absl::Status&)>> waiting ABSL_GUARDED_BY(mutex);
};

Event::Event() = default;

Event::Event(std::shared_ptr<State> state) : state_(std::move(state)) {}

Event Event::Pending() { return Event(std::make_shared<State>()); }

void Event::Complete(const absl::Status& status) {
  KERNEL_CHECK(state_ != nullptr);
  std::vector<std::function<void(const absl::Status&)>> waiting;
  {
    MutexLock lock(&state_->mutex);
    KERNEL_CHECK(!state_->ready);
    state_->ready = true;
    state_->status = status;
    waiting.swap(state_->waiting);
    state_->completed.NotifyAll();
  }
  for (auto& then : waiting) then(status);
}

bool Event::ready() const {
  if (state_ == nullptr) return true;
  MutexLock lock(&state_->mutex);
  return state_->ready;
}

absl::Status Event::Wait() const {
  if (state_ == nullptr) return absl::OkStatus();
  MutexLock lock(&state_->mutex);
  while (!state_->ready) state_->completed.Wait(&state_->mutex);
  return state_->status;
}

void Event::OnReady(std::function<void(const absl::Status&)> then) const {
  absl::Status status;
  if (state_ != nullptr) {
    MutexLock lock(&state_->mutex);
    if (!state_->ready) {
      state_->waiting.push_back(std::move(then));
      return;
    }
    status = state_->status;
  }
  then(status);
}

}  // namespace carousel::kernels
