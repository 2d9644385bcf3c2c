// Lets tasks of one ParallelFor wait for others of it that come before them.
#pragma once

#include <atomic>
#include <cstdint>

namespace carousel::kernels {

// Indices are handed out in ascending order, so a task that waits for tasks of smaller index waits
// for running ones; those must not wait themselves. Nothing spins: who waits sleeps.
class Countdown {
 public:
  explicit Countdown(int64_t tasks);

  void Done();        // what the caller wrote is seen by whoever has waited
  void Wait() const;  // until Done was called `tasks` times

 private:
  std::atomic<int64_t> left_;
};

}  // namespace carousel::kernels
