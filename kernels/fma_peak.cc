#include "kernels/fma_peak.h"

#include <time.h>

#include <algorithm>
#include <vector>

#include "kernels/cpu/fma_loop.h"

namespace carousel::kernels {
namespace {

int64_t FmaLoop(Isa isa, DType dtype, int64_t steps) {
  switch (isa) {
    case Isa::kAvx512:
      return avx512::FmaLoop(dtype, steps);
    case Isa::kAvx2:
      return avx2::FmaLoop(dtype, steps);
    case Isa::kScalar:
      return scalar::FmaLoop(dtype, steps);
  }
  return 0;
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

}  // namespace

double ThreadSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double FmaPeak(Isa isa, DType dtype) {
  constexpr int64_t kSteps = 100'000;
  constexpr double kSeconds = 0.01;
  const double start = ThreadSeconds();
  double flops = 0, seconds = 0;
  while (seconds < kSeconds) {
    flops += static_cast<double>(FmaLoop(isa, dtype, kSteps));
    seconds = ThreadSeconds() - start;
  }
  return flops / seconds;
}

Rate Measure(Isa isa, DType dtype, double flops, const std::function<void()>& work, int rounds) {
  constexpr double kSeconds = 0.02;
  work();  // touches memory for the first time
  std::vector<double> rates, ratios;
  for (int round = 0; round < rounds; ++round) {
    const double peak_before = FmaPeak(isa, dtype);
    const double start = ThreadSeconds();
    double done = 0, seconds = 0;
    while (seconds < kSeconds) {
      work();
      done += flops;
      seconds = ThreadSeconds() - start;
    }
    const double peak = std::max(peak_before, FmaPeak(isa, dtype));
    rates.push_back(done / seconds);
    ratios.push_back(done / seconds / peak);
  }
  return {Median(rates), Median(ratios)};
}

}  // namespace carousel::kernels
