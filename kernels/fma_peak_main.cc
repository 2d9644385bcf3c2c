// Prints the rate of the loop of fused multiply-adds (fma_peak.h) on this machine, in flop/s: what
// scripts put beside their measurements. On the path that a worker would take: the fastest, or the
// one that CAROUSEL_ISA names.
//
//   bazel run //kernels:fma_peak_main [threads]

#include <algorithm>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "kernels/fma_peak.h"
#include "kernels/isa.h"

int main(int argc, char** argv) {
  using carousel::kernels::DType;
  using carousel::kernels::FmaPeak;
  int threads = 1;
  const bool read = argc < 2 || (argc == 2 && absl::SimpleAtoi(argv[1], &threads));
  if (!read || threads < 1 || threads > 1024) {
    std::fprintf(stderr, "usage: fma_peak_main [threads, 1 to 1024]\n");
    return 2;
  }
  const absl::StatusOr<carousel::kernels::Isa> isa = carousel::kernels::ChooseIsa();
  if (!isa.ok()) {
    std::fprintf(stderr, "fma_peak_main: %s\n", std::string(isa.status().message()).c_str());
    return 2;
  }
  std::vector<double> rates(threads);
  std::vector<std::thread> workers;
  for (double& rate : rates) {
    workers.emplace_back([&rate, isa = *isa] {
      for (int i = 0; i < 20; ++i) rate = std::max(rate, FmaPeak(isa, DType::kF32));
    });
  }
  for (std::thread& worker : workers) worker.join();
  double sum = 0;
  for (const double rate : rates) sum += rate;
  std::printf("%.6g\n", sum);
}
