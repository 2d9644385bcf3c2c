#include "kernels/norm.h"

#include "tests/kernels/pointwise_case.h"

namespace carousel::kernels {
namespace {

// LayerNorm with a residual weight, RMSNorm, and the two families' head-wise norms; widths that
// no vector divides.
const NormShape kShapes[] = {
    {.rows = 40, .groups = 1, .width = 77, .center = true, .residual_weight = true},
    {.rows = 21, .groups = 1, .width = 512, .center = false, .epsilon = 1e-6},
    {.rows = 33, .groups = 3, .width = 45, .center = true, .residual_weight = true},
    {.rows = 3, .groups = 4, .width = 32, .center = true, .epsilon = 1e-6},
    {.rows = 5, .groups = 2, .width = 1, .center = false},
};

template <class T>
struct NormCase {
  explicit NormCase(const NormShape& shape) : shape(shape) {
    const int64_t row = shape.groups * shape.width, all = shape.rows * row;
    x = Values<T>(all, 1);
    weight = Values<T>(row, 2);
    dy = Values<T>(all, 3);
    residual = Values<T>(all, 4);
    dweight = Values<T>(row, 5);
    y.resize(all);
    dx.resize(all);
    stats.resize(2 * shape.rows * shape.groups);
  }

  void Forward(Isa isa, Context& context) {
    RunOn(isa, context, NormForward{shape, SpanOf(x), SpanOf(weight), SpanOf(y), SpanOf(stats)});
  }
  void Backward(Isa isa, Context& context) {
    RunOn(isa, context,
          NormBackwardInput{shape, SpanOf(x), SpanOf(weight), SpanOf(stats), SpanOf(dy),
                            SpanOf(residual), SpanOf(dx)});
    RunOn(isa, context,
          NormBackwardWeight{shape, SpanOf(x), SpanOf(stats), SpanOf(dy), SpanOf(dweight)});
  }
  std::vector<T> Outputs() const { return Joined<T>({y, stats, dx, dweight}); }

  NormShape shape;
  std::vector<T> x, weight, dy, residual, y, stats, dx, dweight;
};

// y and what its gradient would be, in long double, straight from the formulas.
template <class T>
std::vector<double> ReferenceY(const NormCase<T>& norm) {
  const NormShape& shape = norm.shape;
  std::vector<double> y(norm.x.size());
  for (int64_t group = 0; group < shape.rows * shape.groups; ++group) {
    const T* x = norm.x.data() + group * shape.width;
    long double mean = 0, variance = 0;
    for (int64_t i = 0; i < shape.width && shape.center; ++i) mean += x[i] / (1.0L * shape.width);
    for (int64_t i = 0; i < shape.width; ++i) {
      variance += (x[i] - mean) * (x[i] - mean) / shape.width;
    }
    for (int64_t i = 0; i < shape.width; ++i) {
      const long double scale = norm.weight[group % shape.groups * shape.width + i] +
                                (shape.residual_weight ? 1.0L : 0.0L);
      y[group * shape.width + i] =
          static_cast<double>((x[i] - mean) / std::sqrt(variance + shape.epsilon) * scale);
    }
  }
  return y;
}

TEST(NormTest, ForwardAgreesWithLongDouble) {
  for (const NormShape& shape : kShapes) {
    Context context(1);
    NormCase<float> in_float(shape);
    in_float.Forward(Isa::kAvx2, context);
    ExpectClose(in_float.y, ReferenceY(in_float), 1e-6, "float");
    NormCase<double> in_double(shape);
    in_double.Forward(Isa::kAvx2, context);
    ExpectClose(in_double.y, ReferenceY(in_double), 1e-14, "double");
  }
}

TEST(NormTest, BitsAreTheSameOnEveryPathAndNumberOfThreads) {
  for (const NormShape& shape : kShapes) {
    const auto run = [&](auto zero) {
      return [&shape](Isa isa, Context& context) {
        NormCase<decltype(zero)> norm(shape);
        norm.Forward(isa, context);
        norm.Backward(isa, context);
        return norm.Outputs();
      };
    };
    SameBitsEverywhere<float>(run(float{}));
    SameBitsEverywhere<double>(run(double{}));
  }
}

TEST(NormTest, BackwardAgreesWithDifferences) {
  for (const NormShape& shape : kShapes) {
    Context context(1);
    NormCase<double> norm(shape);
    norm.residual.assign(norm.x.size(), 0);
    norm.dweight.assign(norm.weight.size(), 0);
    norm.Forward(Isa::kAvx2, context);
    norm.Backward(Isa::kAvx2, context);
    const std::vector<double> dx = norm.dx, dweight = norm.dweight;
    const auto loss = [&] {
      norm.Forward(Isa::kAvx2, context);
      return Weighed(norm.dy, norm.y);
    };
    // One element alone has a variance of its own: steeper than its neighbours' company.
    const double h = shape.width == 1 ? 1e-5 : 1e-4;
    ExpectClose(dx, Differences(norm.x, loss, h), 1e-8, "dx");
    ExpectClose(dweight, Differences(norm.weight, loss, h), 1e-8, "dweight");
  }
}

TEST(NormTest, TheResidualsGradientIsAddedLastAndMayBeDxItself) {
  Context context(1);
  NormCase<float> apart(kShapes[0]);
  apart.Forward(Isa::kAvx2, context);
  NormCase<float> together = apart, alone = apart;
  apart.Backward(Isa::kAvx2, context);
  together.dx = together.residual;
  RunOn(Isa::kAvx2, context,
        NormBackwardInput{together.shape, SpanOf(together.x), SpanOf(together.weight),
                          SpanOf(together.stats), SpanOf(together.dy), SpanOf(together.dx),
                          SpanOf(together.dx)});
  alone.residual.clear();
  alone.Backward(Isa::kAvx2, context);
  EXPECT_EQ(FirstDifference(together.dx, apart.dx), -1);
  for (size_t i = 0; i < apart.dx.size(); ++i) {
    ASSERT_EQ(apart.dx[i], apart.residual[i] + alone.dx[i]) << i;
  }
}

TEST(NormTest, WeightGradientIsOneChainWhateverTheCutsOfItsRows) {
  Context context(2);
  NormCase<float> whole(kShapes[2]);
  whole.Forward(Isa::kAvx2, context);
  NormCase<float> parts = whole;
  whole.Backward(Isa::kAvx2, context);
  const int64_t row = whole.shape.groups * whole.shape.width;
  int64_t end = whole.shape.rows;
  for (const int64_t rows : {16, 1, 11, 5}) {  // segments from last to first
    end -= rows;
    NormShape shape = whole.shape;
    shape.rows = rows;
    RunOn(Isa::kScalar, context,
          NormBackwardWeight{
              shape, SpanOf(parts.x).Slice(end * row, rows * row),
              SpanOf(parts.stats).Slice(end * 2 * shape.groups, rows * 2 * shape.groups),
              SpanOf(parts.dy).Slice(end * row, rows * row), SpanOf(parts.dweight)});
  }
  ASSERT_EQ(end, 0);
  EXPECT_EQ(FirstDifference(parts.dweight, whole.dweight), -1);
}

TEST(NormDeathTest, AnOperandThatIsTooSmallIsNamed) {
  Context context(1);
  NormCase<float> norm(kShapes[0]);
  norm.stats.pop_back();
  EXPECT_DEATH(norm.Forward(Isa::kAvx2, context), "broken precondition: Holds\\(op.stats");
}

}  // namespace
}  // namespace carousel::kernels
