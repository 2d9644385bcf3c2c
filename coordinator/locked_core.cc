#include "coordinator/locked_core.h"

#include <chrono>

namespace carousel {
namespace {

// gRPC tells nobody that a caller left; a waiting call looks for itself.
constexpr auto kAbandonedCheck = std::chrono::milliseconds(250);

}  // namespace

void LockedCore::WakeIfChanged() {
  if (coordinator_->version() == seen_version_) return;
  seen_version_ = coordinator_->version();
  changed_.notify_all();
}

bool LockedCore::Wait(const std::function<bool(const CoordinatorCore&)>& done,
                      const std::function<bool()>& abandoned) {
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    if (done(*coordinator_)) return true;
    if (shut_down_ || !coordinator_->broken().ok() || abandoned()) return false;
    changed_.wait_for(lock, kAbandonedCheck);
  }
}

void LockedCore::Shutdown() {
  std::lock_guard<std::mutex> lock(mutex_);
  shut_down_ = true;
  changed_.notify_all();
}

}  // namespace carousel
