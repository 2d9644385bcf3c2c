// Stopwatch: how long something took, or how long somebody has waited.
#pragma once

#include "cluster/clock.h"

namespace carousel {

// Starts when it is made. Copies go on from the same moment. Not thread-safe.
class Stopwatch {
 public:
  explicit Stopwatch(const Clock* clock = &Clock::Real()) : clock_(clock) {}

  double Seconds() const { return clock_->Now() - start_; }
  void Restart() { start_ = clock_->Now(); }

 private:
  const Clock* clock_;
  double start_ = clock_->Now();
};

}  // namespace carousel
