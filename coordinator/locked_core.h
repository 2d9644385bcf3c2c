// The coordinator behind one lock, for the threads of gRPC: calls go in one at a time, and whoever
// waits for a change is woken by it. Thread-safe.
#pragma once

#include <functional>
#include <memory>

#include "cluster/mutex.h"
#include "coordinator/core.h"

namespace carousel {

class LockedCore {
 public:
  explicit LockedCore(std::unique_ptr<CoordinatorCore> core) : core_(std::move(core)) {}

  // Runs `call` with the coordinator to itself.
  template <typename Call>
  auto With(Call call) {
    struct Wake {  // after the call, whatever it returns
      LockedCore* self;
      ~Wake() ABSL_NO_THREAD_SAFETY_ANALYSIS { self->WakeIfChanged(); }
    };
    MutexLock lock(&mutex_);
    const Wake wake{this};
    return call(*core_);
  }

  // Waits until `done` says so, asking after every change. False if the caller gave up
  // (`abandoned`, asked a few times a second), the coordinator broke or Shutdown was called.
  bool Wait(const std::function<bool(const CoordinatorCore&)>& done,
            const std::function<bool()>& abandoned);

  // Ends all waits, now and later.
  void Shutdown();

 private:
  void WakeIfChanged() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Mutex mutex_;
  CondVar changed_;
  uint64_t seen_version_ ABSL_GUARDED_BY(mutex_) = 0;
  bool shut_down_ ABSL_GUARDED_BY(mutex_) = false;
  const std::unique_ptr<CoordinatorCore> core_ ABSL_PT_GUARDED_BY(mutex_);
};

}  // namespace carousel
