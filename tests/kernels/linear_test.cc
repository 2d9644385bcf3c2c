#include "kernels/linear.h"

#include "tests/kernels/pointwise_case.h"

namespace carousel::kernels {
namespace {

template <class T>
class LinearTest : public testing::Test {};
using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(LinearTest, Types);

// Operands are slices of wider matrices, as in a block.
template <class T>
struct Operand {
  Operand(int64_t rows, int64_t columns, uint64_t seed)
      : stride(columns + 3), values(Values<T>(rows * stride, seed)) {}

  Matrix View(int64_t first_row = 0) { return MatrixOf(values, stride, first_row * stride); }
  T at(int64_t row, int64_t column) const { return values[row * stride + column]; }

  int64_t stride;
  std::vector<T> values;
};

constexpr int64_t kRows = 37, kIn = 401, kOut = 45;

TYPED_TEST(LinearTest, ForwardIsResidualPlusChainPlusBias) {
  using T = TypeParam;
  Operand<T> x(kRows, kIn, 1), residual(kRows, kOut, 2);
  std::vector<T> weight = Values<T>(kOut * kIn, 3), bias = Values<T>(kOut, 4);
  Operand<T> expected = residual;
  for (int64_t r = 0; r < kRows; ++r) {
    for (int64_t o = 0; o < kOut; ++o) {
      const T chain = Chain<T>(
          0, kIn, [&](int64_t k) { return x.at(r, k); },
          [&](int64_t k) { return weight[o * kIn + k]; });
      expected.values[r * expected.stride + o] = residual.at(r, o) + (chain + bias[o]);
    }
  }
  OnEveryPath([&](Isa isa, Context& context) {
    Operand<T> y = residual;  // y is its own residual
    LinearForward op;
    op.x = x.View();
    op.weight = SpanOf(weight);
    op.bias = SpanOf(bias);
    op.residual = op.y = y.View();
    op.rows = kRows, op.in = kIn, op.out = kOut;
    RunOn(isa, context, op);
    EXPECT_TRUE(SameBits(y.values, expected.values)) << NameOf(isa);
  });
}

TYPED_TEST(LinearTest, BackwardInputGoesOnFromDxIfAsked) {
  using T = TypeParam;
  Operand<T> dy(kRows, kOut, 1);
  const Operand<T> start(kRows, kIn, 2);
  std::vector<T> weight = Values<T>(kOut * kIn, 3);
  for (const bool accumulate : {false, true}) {
    Operand<T> expected = start;
    for (int64_t r = 0; r < kRows; ++r) {
      for (int64_t k = 0; k < kIn; ++k) {
        expected.values[r * start.stride + k] = Chain<T>(
            accumulate ? start.at(r, k) : T(0), kOut, [&](int64_t o) { return dy.at(r, o); },
            [&](int64_t o) { return weight[o * kIn + k]; });
      }
    }
    OnEveryPath([&](Isa isa, Context& context) {
      Operand<T> dx = start;
      LinearBackwardInput op;
      op.dy = dy.View();
      op.weight = SpanOf(weight);
      op.dx = dx.View();
      op.rows = kRows, op.in = kIn, op.out = kOut;
      op.accumulate = accumulate;
      RunOn(isa, context, op);
      EXPECT_TRUE(SameBits(dx.values, expected.values)) << NameOf(isa);
    });
  }
}

// Gradients of rows [first, first + rows) go on from dweight and dbias.
template <class T>
void BackwardWeight(Isa isa, Context& context, Operand<T>& x, Operand<T>& dy, int64_t first,
                    int64_t rows, std::vector<T>& dweight, std::vector<T>& dbias) {
  LinearBackwardWeight op;
  op.x = x.View(first);
  op.dy = dy.View(first);
  op.dweight = SpanOf(dweight);
  op.dbias = SpanOf(dbias);
  op.rows = rows, op.in = kIn, op.out = kOut;
  RunOn(isa, context, op);
}

TYPED_TEST(LinearTest, BackwardWeightRunsFromTheLastRowToTheFirst) {
  using T = TypeParam;
  Operand<T> x(kRows, kIn, 1), dy(kRows, kOut, 2);
  const std::vector<T> start = Values<T>(kOut * kIn, 3), bias_start = Values<T>(kOut, 4);
  std::vector<T> expected = start, bias_expected = bias_start;
  for (int64_t o = 0; o < kOut; ++o) {
    const auto dy_of = [&](int64_t i) { return dy.at(kRows - 1 - i, o); };
    for (int64_t k = 0; k < kIn; ++k) {
      expected[o * kIn + k] = Chain<T>(start[o * kIn + k], kRows, dy_of,
                                       [&](int64_t i) { return x.at(kRows - 1 - i, k); });
    }
    bias_expected[o] = Chain<T>(bias_start[o], kRows, dy_of, [](int64_t) { return T(1); });
  }
  OnEveryPath([&](Isa isa, Context& context) {
    std::vector<T> dweight = start, dbias = bias_start;
    BackwardWeight(isa, context, x, dy, 0, kRows, dweight, dbias);
    EXPECT_TRUE(SameBits(dweight, expected)) << NameOf(isa);
    EXPECT_TRUE(SameBits(dbias, bias_expected)) << NameOf(isa);
  });
}

// This is what makes gradients independent of segments.
TYPED_TEST(LinearTest, GradientsOfSegmentsFromLastToFirstEqualOneCall) {
  using T = TypeParam;
  constexpr int64_t kManyRows = 1200;
  Operand<T> x(kManyRows, kIn, 1), dy(kManyRows, kOut, 2);
  for (const Isa isa : Paths()) {
    Context context(2);
    std::vector<T> whole(kOut * kIn), whole_bias(kOut);
    BackwardWeight(isa, context, x, dy, 0, kManyRows, whole, whole_bias);
    std::vector<T> parts(kOut * kIn), parts_bias(kOut);
    int64_t end = kManyRows;
    for (const int64_t rows : {64, 1, 1030, 55, 50}) {
      end -= rows;
      BackwardWeight(isa, context, x, dy, end, rows, parts, parts_bias);
    }
    ASSERT_EQ(end, 0);
    EXPECT_TRUE(SameBits(whole, parts)) << NameOf(isa);
    EXPECT_TRUE(SameBits(whole_bias, parts_bias)) << NameOf(isa);
  }
}

TYPED_TEST(LinearTest, NoRowsChangeNothing) {
  using T = TypeParam;
  Operand<T> x(1, kIn, 1), dy(1, kOut, 2);
  const std::vector<T> start = Values<T>(kOut * kIn, 3);
  Context context(1);
  std::vector<T> dweight = start, dbias(kOut);
  BackwardWeight(Isa::kAvx2, context, x, dy, 0, 0, dweight, dbias);
  EXPECT_TRUE(SameBits(dweight, start));
}

TEST(LinearGradientTest, AgreesWithDifferences) {
  constexpr int64_t kFewRows = 6, kFewIn = 5, kFewOut = 4;
  std::vector<double> x = Values<double>(kFewRows * kFewIn, 1),
                      weight = Values<double>(kFewOut * kFewIn, 2),
                      bias = Values<double>(kFewOut, 3), dx(x.size()), dweight(weight.size()),
                      dbias(bias.size());
  const std::vector<double> residual = Values<double>(kFewRows * kFewOut, 4),
                            dy = Values<double>(kFewRows * kFewOut, 5);
  Context context(1);
  const auto loss = [&] {
    std::vector<double> y(dy.size());
    RunOn(Isa::kAvx2, context,
          LinearForward{MatrixOf(x, kFewIn), SpanOf(weight), SpanOf(bias),
                        MatrixOf(residual, kFewOut), MatrixOf(y, kFewOut), kFewRows, kFewIn,
                        kFewOut});
    return Weighed(dy, y);
  };

  RunOn(Isa::kAvx2, context,
        LinearBackwardInput{MatrixOf(dy, kFewOut), SpanOf(weight), MatrixOf(dx, kFewIn), kFewRows,
                            kFewIn, kFewOut});
  RunOn(Isa::kAvx2, context,
        LinearBackwardWeight{MatrixOf(x, kFewIn), MatrixOf(dy, kFewOut), SpanOf(dweight),
                             SpanOf(dbias), kFewRows, kFewIn, kFewOut});

  ExpectClose(dx, Differences(x, loss), 1e-11, "dx");
  ExpectClose(dweight, Differences(weight, loss), 1e-11, "dweight");
  ExpectClose(dbias, Differences(bias, loss), 1e-11, "dbias");
}

}  // namespace
}  // namespace carousel::kernels
