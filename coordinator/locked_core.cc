#include "coordinator/locked_core.h"

#include <chrono>

namespace carousel {
namespace {

// gRPC tells nobody that a caller left; a waiting call looks for itself.
constexpr auto kAbandonedCheck = std::chrono::milliseconds(250);

}  // namespace

void LockedCore::WakeIfChanged() {
  if (core_->version() == seen_version_) return;
  seen_version_ = core_->version();
  changed_.NotifyAll();
}

bool LockedCore::Wait(const std::function<bool(const CoordinatorCore&)>& done,
                      const std::function<bool()>& abandoned) {
  MutexLock lock(&mutex_);
  while (true) {
    if (done(*core_)) return true;
    if (shut_down_ || !core_->broken().ok() || abandoned()) return false;
    changed_.WaitFor(&mutex_, kAbandonedCheck);
  }
}

void LockedCore::Shutdown() {
  MutexLock lock(&mutex_);
  shut_down_ = true;
  changed_.NotifyAll();
}

}  // namespace carousel
