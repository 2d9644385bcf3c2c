// The sLSTM cell against a loop of fused multiply-adds, one thread: useful operations are those of
// the recurrent products. Four heads; gates over their inputs, as the block has them.
//
//   bazel run //kernels:slstm_benchmark [avx512|avx2|scalar]

#include <cstdio>
#include <string>
#include <vector>

#include "kernels/benchmark.h"
#include "kernels/cpu/paths.h"
#include "kernels/fma_peak.h"

namespace carousel::kernels {
namespace {

struct Size {
  int64_t batch, head_dim;
};
constexpr Size kSizes[] = {{8, 128}, {4, 128}, {16, 128}, {8, 64}, {8, 192}, {8, 256}, {1, 128}};
constexpr int64_t kHeads = 4, kSteps = 64;

// The cell's tensors, of one size.
class Cell {
 public:
  explicit Cell(const Size& size)
      : shape_{kSteps, size.batch, kHeads, size.head_dim},
        width_(kHeads * size.head_dim),
        rows_(kSteps * size.batch),
        reset_(rows_) {}

  SlstmForward Forward() {
    SlstmForward op;
    op.shape = shape_;
    op.x = op.gates = x_.all(), op.r = r_.all(), op.b = b_.all(), op.reset = Resets();
    op.h = h_.all(), op.keep = keep_.all(), op.c = c_.all(), op.n = n_.all();
    op.h_before = h_before_.all();
    return op;
  }
  SlstmBackwardInput BackwardInput() {
    SlstmBackwardInput op;
    op.shape = shape_;
    op.r = r_.all(), op.reset = Resets();
    op.h = h_.all(), op.gates = x_.all(), op.keep = keep_.all(), op.c = c_.all(), op.n = n_.all();
    op.dy = dy_.all(), op.draw = draw_.all();
    return op;
  }
  SlstmBackwardWeight BackwardWeight() {
    return {shape_, h_before_.all(), draw_.all(), dr_.all(), db_.all()};
  }
  double flops() const {
    return 8.0 * static_cast<double>(shape_.steps * shape_.batch * shape_.heads) *
           static_cast<double>(shape_.head_dim * shape_.head_dim);
  }

 private:
  Span Resets() { return Span::Of(reset_.data(), rows_); }

  const SlstmShape shape_;
  const int64_t width_, rows_;
  Tensor r_ = Tensor(4 * width_ * shape_.head_dim, 1, 0.3f / static_cast<float>(shape_.head_dim));
  Tensor b_ = Tensor(4 * width_, 2, 0.1f), x_ = Tensor(rows_ * 4 * width_, 3);
  Tensor dy_ = Tensor(rows_ * width_, 4), draw_ = Tensor(rows_ * 4 * width_);
  Tensor h_ = Tensor(rows_ * width_), keep_ = Tensor(rows_ * width_), c_ = Tensor(rows_ * width_),
         n_ = Tensor(rows_ * width_), h_before_ = Tensor(rows_ * width_);
  Tensor dr_ = Tensor(r_.size()), db_ = Tensor(b_.size());
  std::vector<uint8_t> reset_;
};

void Benchmark(Isa isa) {
  Context context(1);
  std::printf("%s, one thread: %.0f GFLOP/s of fused multiply-adds in f32\n", IsaName(isa),
              1e-9 * FmaPeak(isa, DType::kF32));
  std::printf("%9s %9s   %-28s %-20s %-20s\n", "sequences", "head size", "forward",
              "backward input", "backward weight");
  for (const Size& size : kSizes) {
    Cell cell(size);
    std::printf("%9ld %9ld", size.batch, size.head_dim);
    const auto show = [&](const auto& op) {
      const Rate rate = Measure(isa, DType::kF32, cell.flops(), [&] { RunOn(isa, context, op); });
      std::printf("   %5.1f GF/s %5.1f %%", 1e-9 * rate.flops_per_second, 100 * rate.of_peak);
      return rate;
    };
    const Rate forward = show(cell.Forward());
    std::printf(" %5.1f us/step",
                1e6 * cell.flops() / forward.flops_per_second / static_cast<double>(kSteps));
    show(cell.BackwardInput());
    show(cell.BackwardWeight());
    std::printf("\n");
  }
}

}  // namespace
}  // namespace carousel::kernels

int main(int argc, char** argv) {
  const auto paths = carousel::kernels::BenchmarkPaths(argc, argv);
  if (!paths.ok()) {
    std::fprintf(stderr, "slstm_benchmark: %s\n", std::string(paths.status().message()).c_str());
    return 2;
  }
  for (const carousel::kernels::Isa isa : *paths) carousel::kernels::Benchmark(isa);
}
