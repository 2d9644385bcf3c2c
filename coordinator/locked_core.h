// The coordinator behind one lock, for the threads of gRPC: calls go in one at a time, and whoever
// waits for a change is woken by it. Thread-safe.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>

#include "coordinator/core.h"

namespace carousel {

class LockedCore {
 public:
  explicit LockedCore(std::unique_ptr<CoordinatorCore> coordinator)
      : coordinator_(std::move(coordinator)) {}

  // Runs `call` with the coordinator to itself.
  template <typename Call>
  auto With(Call call) {
    struct Wake {  // after the call, whatever it returns
      LockedCore* self;
      ~Wake() { self->WakeIfChanged(); }
    };
    std::lock_guard<std::mutex> lock(mutex_);
    const Wake wake{this};
    return call(*coordinator_);
  }

  // Waits until `done` says so, asking after every change. False if the caller gave up
  // (`abandoned`, asked a few times a second), the coordinator broke or Shutdown was called.
  bool Wait(const std::function<bool(const CoordinatorCore&)>& done,
            const std::function<bool()>& abandoned);

  // Ends all waits, now and later.
  void Shutdown();

 private:
  void WakeIfChanged();  // with mutex_ held

  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t seen_version_ = 0;
  bool shut_down_ = false;
  const std::unique_ptr<CoordinatorCore> coordinator_;
};

}  // namespace carousel
