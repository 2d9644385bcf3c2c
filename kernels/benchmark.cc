#include "kernels/benchmark.h"

#include <cstdlib>
#include <cstring>

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

absl::StatusOr<std::vector<Isa>> BenchmarkPaths(int argc, char** argv) {
  if (argc > 2) return absl::InvalidArgumentError("usage: [avx512|avx2|scalar]");
  if (argc < 2) return SupportedIsas();
  const absl::StatusOr<Isa> isa = IsaNamed(argv[1]);
  if (!isa.ok()) return isa.status();
  return std::vector<Isa>{*isa};
}

}  // namespace carousel::kernels
