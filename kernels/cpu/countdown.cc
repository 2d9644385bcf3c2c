#include "kernels/cpu/countdown.h"

namespace carousel::kernels {

Countdown::Countdown(int64_t tasks) : left_(tasks) {}

void Countdown::Done() {
  if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) left_.notify_all();
}

void Countdown::Wait() const {
  while (const int64_t left = left_.load(std::memory_order_acquire)) left_.wait(left);
}

}  // namespace carousel::kernels
