// The sLSTM cell against a loop of fused multiply-adds, one thread: useful operations are those of
// the recurrent products. Four heads; gates over their inputs, as the block has them.
//
//   bazel run //kernels:slstm_benchmark [avx512|avx2|scalar]

#include <cstdio>
#include <cstring>
#include <vector>

#include "kernels/cpu/paths.h"
#include "kernels/fma_peak.h"

namespace carousel::kernels {
namespace {

struct Size {
  int64_t batch, head_dim;
};
constexpr Size kSizes[] = {{8, 128}, {4, 128}, {16, 128}, {8, 64}, {8, 192}, {8, 256}, {1, 128}};
constexpr int64_t kHeads = 4, kSteps = 64;

// Tensors of one size, filled with small numbers of no pattern.
class Cell {
 public:
  explicit Cell(const Size& size) : shape_{kSteps, size.batch, kHeads, size.head_dim} {
    const int64_t width = kHeads * size.head_dim, rows = kSteps * size.batch;
    r_ = Filled(width * 4 * size.head_dim, 0.3f / static_cast<float>(size.head_dim));
    b_ = Filled(4 * width, 0.1f);
    x_ = Filled(rows * 4 * width, 1);
    dy_ = Filled(rows * width, 1);
    draw_.resize(rows * 4 * width);
    for (std::vector<float>* kept : {&h_, &keep_, &c_, &n_, &h_before_}) kept->resize(rows * width);
    dr_.resize(r_.size());
    db_.resize(b_.size());
    reset_.resize(rows);
  }

  SlstmForward Forward() {
    SlstmForward op;
    op.shape = shape_;
    op.x = op.gates = All(x_), op.r = All(r_), op.b = All(b_), op.reset = All(reset_);
    op.h = All(h_), op.keep = All(keep_), op.c = All(c_), op.n = All(n_);
    op.h_before = All(h_before_);
    return op;
  }
  SlstmBackwardInput BackwardInput() {
    SlstmBackwardInput op;
    op.shape = shape_;
    op.r = All(r_), op.reset = All(reset_);
    op.h = All(h_), op.gates = All(x_), op.keep = All(keep_), op.c = All(c_), op.n = All(n_);
    op.dy = All(dy_), op.draw = All(draw_);
    return op;
  }
  SlstmBackwardWeight BackwardWeight() {
    return {shape_, All(h_before_), All(draw_), All(dr_), All(db_)};
  }
  double flops() const {
    return 8.0 * static_cast<double>(shape_.steps * shape_.batch * shape_.heads) *
           static_cast<double>(shape_.head_dim * shape_.head_dim);
  }

 private:
  template <class T>
  static Span All(std::vector<T>& values) {
    return Span::Of(values.data(), static_cast<int64_t>(values.size()));
  }
  std::vector<float> Filled(int64_t size, float scale) {
    std::vector<float> values(size);
    for (float& value : values) {
      seed_ = seed_ * 1664525 + 1013904223;
      value = scale * static_cast<float>(static_cast<int32_t>(seed_)) * 0x1p-31f;
    }
    return values;
  }

  SlstmShape shape_;
  uint32_t seed_ = 1;
  std::vector<float> r_, b_, x_, dy_, draw_, h_, keep_, c_, n_, h_before_, dr_, db_;
  std::vector<uint8_t> reset_;
};

void Benchmark(Isa isa) {
  Context context(1);
  std::printf("%s, one thread: %.0f GFLOP/s of fused multiply-adds in f32\n", NameOf(isa),
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
  for (const carousel::kernels::Isa isa : carousel::kernels::Paths()) {
    if (argc < 2 || std::strcmp(argv[1], carousel::kernels::NameOf(isa)) == 0) {
      carousel::kernels::Benchmark(isa);
    }
  }
}
