#include "worker/work_queue.h"

#include <utility>

namespace carousel {

WorkQueue::~WorkQueue() {
  {
    MutexLock lock(&mutex_);
    over_ = true;
  }
  changed_.NotifyAll();
  thread_.join();
}

void WorkQueue::Add(std::function<void()> work) {
  {
    MutexLock lock(&mutex_);
    work_.push_back(std::move(work));
  }
  changed_.NotifyAll();
}

void WorkQueue::Run() {
  while (const std::optional<std::function<void()>> work = Take()) (*work)();
}

std::optional<std::function<void()>> WorkQueue::Take() {
  MutexLock lock(&mutex_);
  while (work_.empty() && !over_) changed_.Wait(&mutex_);
  if (work_.empty()) return std::nullopt;
  std::function<void()> work = std::move(work_.front());
  work_.pop_front();
  return work;
}

}  // namespace carousel
