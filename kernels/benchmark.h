// What the benchmarks of this folder share: operands, and the path on the command line.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/isa.h"
#include "kernels/span.h"

namespace carousel::kernels {

// A tensor of floats on the host, aligned to 64 as a backend's are. Starts as zeros. Copies share
// the memory.
class Tensor {
 public:
  explicit Tensor(int64_t size);
  // Reproducible numbers of no pattern, spread evenly over mean - spread to mean + spread; other
  // ones for another seed.
  Tensor(int64_t size, uint64_t seed, float spread = 1, float mean = 0);

  float* data() const { return data_.get(); }
  int64_t size() const { return size_; }
  Span all() const { return Span::Of(data_.get(), size_); }
  Matrix rows(int64_t width) const { return {all(), width}; }

 private:
  std::shared_ptr<float> data_;
  int64_t size_;
};

// The path that the command line names, or every path of this processor. kInvalidArgument names the
// choices, kFailedPrecondition if the processor lacks it.
absl::StatusOr<std::vector<Isa>> BenchmarkPaths(int argc, char** argv);

}  // namespace carousel::kernels
