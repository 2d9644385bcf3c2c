#include "kernels/event.h"

#include <condition_variable>
#include <mutex>
#include <utility>
#include <vector>

#include "kernels/check.h"

namespace carousel::kernels {

struct Event::State {
  std::mutex mutex;
  std::condition_variable completed;
  bool ready = false;
  absl::Status status;
  std::vector<std::function<void(const absl::Status&)>> waiting;
};

Event::Event() = default;

Event::Event(std::shared_ptr<State> state) : state_(std::move(state)) {}

Event Event::Pending() { return Event(std::make_shared<State>()); }

void Event::Complete(absl::Status status) {
  KERNEL_CHECK(state_ != nullptr);
  std::vector<std::function<void(const absl::Status&)>> waiting;
  {
    std::lock_guard<std::mutex> lock(state_->mutex);
    KERNEL_CHECK(!state_->ready);
    state_->ready = true;
    state_->status = std::move(status);
    waiting.swap(state_->waiting);
    state_->completed.notify_all();
  }
  for (auto& then : waiting) then(state_->status);
}

bool Event::ready() const {
  if (state_ == nullptr) return true;
  std::lock_guard<std::mutex> lock(state_->mutex);
  return state_->ready;
}

absl::Status Event::Wait() const {
  if (state_ == nullptr) return absl::OkStatus();
  std::unique_lock<std::mutex> lock(state_->mutex);
  state_->completed.wait(lock, [this] { return state_->ready; });
  return state_->status;
}

void Event::OnReady(std::function<void(const absl::Status&)> then) const {
  if (state_ != nullptr) {
    std::lock_guard<std::mutex> lock(state_->mutex);
    if (!state_->ready) {
      state_->waiting.push_back(std::move(then));
      return;
    }
  }
  then(state_ == nullptr ? absl::OkStatus() : state_->status);
}

}  // namespace carousel::kernels
