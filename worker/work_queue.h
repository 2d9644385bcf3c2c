// WorkQueue: work that takes a while, beside whoever asks for it and one piece after the other.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <thread>

#include "cluster/mutex.h"

namespace carousel {

// Thread-safe. One thread, which sleeps while there is nothing to do.
class WorkQueue {
 public:
  WorkQueue() : thread_([this] { Run(); }) {}
  ~WorkQueue();  // waits until all of it is done, and what it adds meanwhile

  // Runs `work` after what was added before, and after that was destroyed with all it held; returns
  // at once. Work may add more work.
  void Add(std::function<void()> work);

 private:
  void Run();
  std::optional<std::function<void()>> Take();  // nothing: it is over

  Mutex mutex_;
  CondVar changed_;
  std::deque<std::function<void()>> work_ ABSL_GUARDED_BY(mutex_);
  bool over_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace carousel
