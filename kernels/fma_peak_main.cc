// Prints the rate of the loop of fused multiply-adds (fma_peak.h) on this machine, in flop/s: what
// scripts put beside their measurements.
//
//   bazel run //kernels:fma_peak_main [threads]

#include <algorithm>
#include <cstdio>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "kernels/cpu/paths.h"
#include "kernels/fma_peak.h"

int main(int argc, char** argv) {
  using carousel::kernels::DType;
  using carousel::kernels::FmaPeak;
  int threads = 1;
  const bool read = argc < 2 || (argc == 2 && absl::SimpleAtoi(argv[1], &threads));
  if (!read || threads < 1 || threads > 1024) {
    std::fprintf(stderr, "usage: fma_peak_main [threads, 1 to 1024]\n");
    return 2;
  }
  const carousel::kernels::Isa isa = carousel::kernels::Paths().back();
  std::vector<double> rates(threads);
  std::vector<std::thread> workers;
  for (double& rate : rates) {
    workers.emplace_back([&rate, isa] {
      for (int i = 0; i < 20; ++i) rate = std::max(rate, FmaPeak(isa, DType::kF32));
    });
  }
  for (std::thread& worker : workers) worker.join();
  double sum = 0;
  for (const double rate : rates) sum += rate;
  std::printf("%.6g\n", sum);
}
