// The mLSTM against a loop of fused multiply-adds, one thread. Bits of the paths are compared
// before anything is timed.
//
//   bazel run //kernels:mlstm_benchmark [avx512|avx2|scalar]

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/benchmark.h"
#include "kernels/cpu/paths.h"
#include "kernels/fma_peak.h"
#include "kernels/mlstm.h"

namespace carousel::kernels {
namespace {

struct Size {
  int64_t qk_dim, v_dim, chunk, heads;
};
constexpr Size kSizes[] = {
    {64, 128, 64, 4}, {32, 64, 64, 4}, {128, 128, 64, 4}, {128, 256, 64, 2}, {256, 512, 64, 1}};

// Operands of both passes over whole sequences.
class Work {
 public:
  explicit Work(const MlstmShape& shape) : shape_(shape) {
    const int64_t rows = shape.steps * shape.batch, qk = shape.heads * shape.qk_dim;
    const int64_t v = shape.heads * shape.v_dim;
    uint64_t seed = 0;
    for (int64_t size : {rows * qk, rows * qk, rows * v, rows * v}) {
      tensors_.emplace_back(size, ++seed);
    }
    tensors_.emplace_back(rows * shape.heads, ++seed, 1.0f, -1.0f);
    tensors_.emplace_back(rows * shape.heads, ++seed, 2.0f, 3.0f);
    for (int64_t size : {rows * v, rows * shape.heads, rows * shape.heads, rows * qk, rows * qk,
                         rows * v, rows * shape.heads, rows * shape.heads}) {
      tensors_.emplace_back(size);
    }
    reset_.assign(rows, 0);
  }

  MlstmForward Forward() {
    MlstmForward op;
    op.shape = shape_;
    op.q = {At(0), shape_.heads * shape_.qk_dim}, op.k = {At(1), shape_.heads * shape_.qk_dim};
    op.v = {At(2), shape_.heads * shape_.v_dim};
    op.i = At(4), op.f = At(5), op.reset = Span::Of(reset_.data(), reset_.size());
    op.h = At(6), op.r = At(7), op.m = At(8);
    return op;
  }

  MlstmBackward Backward() {
    MlstmBackward op{Forward()};
    op.dh = At(3);
    op.dq = {At(9), op.q.stride}, op.dk = {At(10), op.k.stride}, op.dv = {At(11), op.v.stride};
    op.di = At(12), op.df = At(13);
    return op;
  }

  const std::vector<Tensor>& tensors() const { return tensors_; }

 private:
  Span At(int index) const { return tensors_[index].all(); }

  const MlstmShape shape_;
  std::vector<Tensor> tensors_;
  std::vector<uint8_t> reset_;
};

// Every path gives the scalar path's bits.
void CheckBits(const MlstmShape& shape) {
  const auto run = [&](Isa isa) {
    Context context(1);
    Work work(shape);
    RunOn(isa, context, work.Forward());
    RunOn(isa, context, work.Backward());
    return work.tensors();
  };
  const std::vector<Tensor> plain = run(Isa::kScalar);
  for (const Isa isa : SupportedIsas()) {
    const std::vector<Tensor> tensors = run(isa);
    for (size_t t = 0; t < plain.size(); ++t) {
      if (std::memcmp(plain[t].data(), tensors[t].data(), plain[t].size() * sizeof(float)) == 0) {
        continue;
      }
      std::printf("bits of %s differ from those of the scalar path\n", IsaName(isa));
      std::exit(1);
    }
  }
}

// Useful flops of a token in a head: only the causal half of the scores counts.
double ForwardFlops(const MlstmShape& s) {
  return static_cast<double>(4 * s.qk_dim * s.v_dim + s.chunk * (s.qk_dim + s.v_dim));
}
double BackwardFlops(const MlstmShape& s) {
  return 10.0 * static_cast<double>(s.qk_dim * s.v_dim) +
         2.5 * static_cast<double>(s.chunk * (s.qk_dim + s.v_dim));
}

void Benchmark(Isa isa) {
  std::printf("%s, one thread: %.0f GFLOP/s of fused multiply-adds in f32\n", IsaName(isa),
              1e-9 * FmaPeak(isa, DType::kF32));
  std::printf("%4s %4s %4s   %-34s %-34s\n", "DQK", "DHV", "L", "forward", "backward");
  for (const Size& size : kSizes) {
    MlstmShape shape;
    shape.steps = 512, shape.batch = 4, shape.heads = size.heads;
    shape.qk_dim = size.qk_dim, shape.v_dim = size.v_dim, shape.chunk = size.chunk;
    MlstmShape few = shape;
    few.steps = 100, few.batch = 1;
    CheckBits(few);

    const double tokens = static_cast<double>(shape.steps * shape.batch * shape.heads);
    Context context(1);
    Work work(shape);
    const auto show = [&](double flops, const auto& op) {
      const Rate rate = Measure(isa, DType::kF32, tokens * flops, [&] { RunOn(isa, context, op); });
      std::printf("  %5.1f GF/s %5.1f %% %6.3f us/token", 1e-9 * rate.flops_per_second,
                  100 * rate.of_peak, 1e6 * flops / rate.flops_per_second);
      std::fflush(stdout);
    };
    std::printf("%4ld %4ld %4ld", shape.qk_dim, shape.v_dim, shape.chunk);
    show(ForwardFlops(shape), work.Forward());
    show(BackwardFlops(shape), work.Backward());
    std::printf("\n");
  }
}

}  // namespace
}  // namespace carousel::kernels

int main(int argc, char** argv) {
  const auto paths = carousel::kernels::BenchmarkPaths(argc, argv);
  if (!paths.ok()) {
    std::fprintf(stderr, "mlstm_benchmark: %s\n", std::string(paths.status().message()).c_str());
    return 2;
  }
  for (const carousel::kernels::Isa isa : *paths) carousel::kernels::Benchmark(isa);
}
