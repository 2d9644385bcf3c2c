// What benchmarks measure against: the rate of a loop of fused multiply-adds timed beside them, on
// the same thread and in the same round, so that figures hold on any machine, a busy one too.
#pragma once

#include <functional>

#include "kernels/isa.h"
#include "kernels/span.h"

namespace carousel::kernels {

// Seconds that the calling thread has computed: a neighbour who takes the core does not count
// (his use of the caches does).
double ThreadSeconds();

// Flop/s of the loop on the calling thread; takes about 10 ms.
double FmaPeak(Isa isa, DType dtype);

struct Rate {
  double flops_per_second = 0;  // median over rounds
  double of_peak = 0;  // median over rounds of the ratio to the loop's rate, both of a round
};

// Calls `work`, which does `flops` useful operations on the calling thread, often enough for a
// figure: `rounds` rounds of some 20 ms each.
Rate Measure(Isa isa, DType dtype, double flops, const std::function<void()>& work, int rounds = 9);

}  // namespace carousel::kernels
