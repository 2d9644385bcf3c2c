// Matrix products against a loop of fused multiply-adds, one thread. Bits are compared with the
// definition before anything is timed.
//
//   bazel run //kernels:matmul_benchmark [avx512|avx2|scalar]

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "kernels/benchmark.h"
#include "kernels/cpu/paths.h"
#include "kernels/fma_peak.h"

namespace carousel::kernels {
namespace {

// Of y = x W^T: rows of x, width of x, width of y.
struct Shape {
  int64_t rows, in, out;
};
constexpr Shape kShapes[] = {
    {256, 256, 256},    {256, 1024, 1024}, {2048, 512, 512}, {2048, 1024, 1024}, {2048, 2048, 2048},
    {2048, 1024, 2752}, {64, 1024, 1024},  {8, 1024, 1024},  {1, 1024, 1024},    {2048, 1024, 4}};

uint32_t Bits(float value) { return std::bit_cast<uint32_t>(value); }

// Operands of one shape, and the three products that training asks for.
class Products {
 public:
  explicit Products(const Shape& shape)
      : shape_(shape),
        x_(shape.rows * shape.in, 1),
        weight_(shape.in * shape.out, 2),
        dy_(shape.rows * shape.out, 3),
        y_(shape.rows * shape.out),
        dx_(shape.rows * shape.in),
        dweight_(shape.in * shape.out) {
    const auto [rows, in, out] = shape;
    forward_ = {.x = x_.rows(in),
                .weight = weight_.all(),
                .y = y_.rows(out),
                .rows = rows,
                .in = in,
                .out = out};
    backward_input_ = {.dy = dy_.rows(out),
                       .weight = weight_.all(),
                       .dx = dx_.rows(in),
                       .rows = rows,
                       .in = in,
                       .out = out};
    backward_weight_ = {.x = x_.rows(in),
                        .dy = dy_.rows(out),
                        .dweight = dweight_.all(),
                        .rows = rows,
                        .in = in,
                        .out = out};
  }

  double flops() const {
    return 2.0 * static_cast<double>(shape_.rows) * static_cast<double>(shape_.in) *
           static_cast<double>(shape_.out);
  }
  const LinearForward& forward() const { return forward_; }
  const LinearBackwardInput& backward_input() const { return backward_input_; }
  const LinearBackwardWeight& backward_weight() const { return backward_weight_; }

  // Some elements of all three results against their definitions; dweight after one call.
  void CheckBits() const {
    const auto [rows, in, out] = shape_;
    const float *x = x_.data(), *w = weight_.data(), *dy = dy_.data();
    for (int64_t i = 0; i < 100; ++i) {
      const int64_t r = i * 7919 % rows, k = i * 104729 % in, o = i * 1299709 % out;
      float y = 0, dx = 0, dw = 0;
      for (int64_t j = 0; j < in; ++j) y = std::fma(x[r * in + j], w[o * in + j], y);
      for (int64_t j = 0; j < out; ++j) dx = std::fma(dy[r * out + j], w[j * in + k], dx);
      for (int64_t j = rows - 1; j >= 0; --j) dw = std::fma(dy[j * out + o], x[j * in + k], dw);
      if (Bits(y) != Bits(y_.data()[r * out + o]) || Bits(dx) != Bits(dx_.data()[r * in + k]) ||
          Bits(dw) != Bits(dweight_.data()[o * in + k])) {
        std::printf("bits differ from the definition\n");
        std::exit(1);
      }
    }
  }

 private:
  Shape shape_;
  Tensor x_, weight_, dy_, y_, dx_, dweight_;
  LinearForward forward_;
  LinearBackwardInput backward_input_;
  LinearBackwardWeight backward_weight_;
};

void Benchmark(Isa isa) {
  Context context(1);
  std::printf("%s, one thread: %.0f GFLOP/s of fused multiply-adds in f32\n", IsaName(isa),
              1e-9 * FmaPeak(isa, DType::kF32));
  std::printf("%6s %6s %6s   %-20s %-20s %-20s\n", "rows", "in", "out", "y = x W^T", "dx = dy W",
              "dW += dy^T x");
  for (const Shape& shape : kShapes) {
    const Products products(shape);
    std::printf("%6ld %6ld %6ld", shape.rows, shape.in, shape.out);
    RunOn(isa, context, products.forward());
    RunOn(isa, context, products.backward_input());
    RunOn(isa, context, products.backward_weight());
    products.CheckBits();
    const auto show = [&](const auto& op) {
      const Rate rate =
          Measure(isa, DType::kF32, products.flops(), [&] { RunOn(isa, context, op); });
      std::printf("   %5.1f GF/s %5.1f %%  ", 1e-9 * rate.flops_per_second, 100 * rate.of_peak);
      std::fflush(stdout);
    };
    show(products.forward());
    show(products.backward_input());
    show(products.backward_weight());
    std::printf("\n");
  }
}

}  // namespace
}  // namespace carousel::kernels

int main(int argc, char** argv) {
  const auto paths = carousel::kernels::BenchmarkPaths(argc, argv);
  if (!paths.ok()) {
    std::fprintf(stderr, "matmul_benchmark: %s\n", std::string(paths.status().message()).c_str());
    return 2;
  }
  for (const carousel::kernels::Isa isa : *paths) carousel::kernels::Benchmark(isa);
}
