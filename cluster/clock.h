// Clock: one of the four doors to the world. Time is used for liveness (leases, time-outs, rates
// shown to people) and never for safety or for anything that reaches a weight.
#pragma once

#include <cstdint>

namespace carousel {

// Thread-safe. Not owned by its users; outlives them.
class Clock {
 public:
  virtual ~Clock() = default;

  // Seconds on a monotonic scale whose origin has no meaning.
  virtual double Now() const = 0;

  // Seconds since 1970, for display and records only.
  virtual double WallTime() const = 0;

  // The machine's clock; lives as long as the process.
  static const Clock& Real();
};

// A clock that tests and the simulation move by hand. Not thread-safe: the simulation is one
// thread.
class SimulatedClock : public Clock {
 public:
  double Now() const override { return now_; }
  double WallTime() const override { return now_; }
  void Advance(double seconds) { now_ += seconds; }

 private:
  double now_ = 0;
};

}  // namespace carousel
