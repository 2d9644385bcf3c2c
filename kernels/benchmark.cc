#include "kernels/benchmark.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "kernels/check.h"

namespace carousel::kernels {

Tensor::Tensor(int64_t size) : size_(size) {
  const int64_t bytes = (size * int64_t{sizeof(float)} + 63) / 64 * 64;
  data_.reset(static_cast<float*>(std::aligned_alloc(64, bytes)), std::free);
  KERNEL_CHECK(data_ != nullptr);
  std::memset(data_.get(), 0, bytes);
}

Tensor::Tensor(int64_t size, uint64_t seed, float spread, float mean) : Tensor(size) {
  uint64_t state = seed;
  for (int64_t i = 0; i < size; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    data_.get()[i] = mean + spread * (static_cast<float>(state >> 40) * 0x1p-23f - 1);
  }
}

int RunBenchmark(int argc, char** argv, void (*benchmark)(Isa)) {
  if (argc > 2) {
    std::fprintf(stderr, "usage: %s [avx512|avx2|scalar]\n", argv[0]);
    return 2;
  }
  if (argc == 2) {
    const absl::StatusOr<Isa> isa = IsaNamed(argv[1]);
    if (!isa.ok()) {
      std::fprintf(stderr, "%s: path %s\n", argv[0], std::string(isa.status().message()).c_str());
      return 2;
    }
    benchmark(*isa);
    return 0;
  }
  for (const Isa isa : SupportedIsas()) benchmark(isa);
  return 0;
}

}  // namespace carousel::kernels
