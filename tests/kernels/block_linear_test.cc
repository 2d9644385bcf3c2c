#include "kernels/block_linear.h"

#include "tests/kernels/pointwise_case.h"

namespace carousel::kernels {
namespace {

struct Shape {
  int64_t rows, blocks, in, out;
};
// Blocks of four with and without a tail of columns; blocks as wide as a head; oblong ones.
constexpr Shape kShapes[] = {
    {70, 33, 4, 4}, {3, 1, 4, 4}, {40, 64, 4, 4}, {37, 3, 70, 70}, {5, 2, 3, 6}};

template <class T>
class BlockLinearTest : public testing::Test {
 public:
  // Matrices stand in the middle of wider rows.
  static Matrix View(std::vector<T>& values, int64_t columns, int64_t first_row = 0) {
    return MatrixOf(values, columns + 5, first_row * (columns + 5));
  }
};
using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(BlockLinearTest, Types);

TYPED_TEST(BlockLinearTest, EachBlockIsALinearMapOfItsOwn) {
  using T = TypeParam;
  for (const Shape& s : kShapes) {
    const int64_t x_row = s.blocks * s.in + 5, y_row = s.blocks * s.out + 5;
    std::vector<T> x = Values<T>(s.rows * x_row, 1), weight = Values<T>(s.blocks * s.out * s.in, 2);
    const std::vector<T> start = Values<T>(s.rows * y_row, 3);
    std::vector<T> expected = start;
    for (int64_t i = 0; i < s.rows * s.blocks * s.out; ++i) {
      const int64_t r = i / (s.blocks * s.out), n = i / s.out % s.blocks, o = i % s.out;
      expected[r * y_row + n * s.out + o] = Chain<T>(
          0, s.in, [&](int64_t k) { return x[r * x_row + n * s.in + k]; },
          [&](int64_t k) { return weight[(n * s.out + o) * s.in + k]; });
    }
    OnEveryPath([&](Isa isa, Context& context) {
      std::vector<T> y = start;
      BlockLinearForward op;
      op.x = this->View(x, s.blocks * s.in);
      op.weight = SpanOf(weight);
      op.y = this->View(y, s.blocks * s.out);
      op.rows = s.rows, op.blocks = s.blocks, op.in = s.in, op.out = s.out;
      RunOn(isa, context, op);
      EXPECT_TRUE(SameBits(y, expected)) << NameOf(isa) << ", blocks of " << s.in;
    });
  }
}

TYPED_TEST(BlockLinearTest, BackwardInputSumsOverOutputs) {
  using T = TypeParam;
  for (const Shape& s : kShapes) {
    const int64_t dx_row = s.blocks * s.in + 5, dy_row = s.blocks * s.out + 5;
    std::vector<T> dy = Values<T>(s.rows * dy_row, 1),
                   weight = Values<T>(s.blocks * s.out * s.in, 2);
    const std::vector<T> start = Values<T>(s.rows * dx_row, 3);
    for (const bool accumulate : {false, true}) {
      std::vector<T> expected = start;
      for (int64_t i = 0; i < s.rows * s.blocks * s.in; ++i) {
        const int64_t r = i / (s.blocks * s.in), n = i / s.in % s.blocks, k = i % s.in;
        T& at = expected[r * dx_row + n * s.in + k];
        at = Chain<T>(
            accumulate ? at : T(0), s.out,
            [&](int64_t o) { return dy[r * dy_row + n * s.out + o]; },
            [&](int64_t o) { return weight[(n * s.out + o) * s.in + k]; });
      }
      OnEveryPath([&](Isa isa, Context& context) {
        std::vector<T> dx = start;
        BlockLinearBackwardInput op;
        op.dy = this->View(dy, s.blocks * s.out);
        op.weight = SpanOf(weight);
        op.dx = this->View(dx, s.blocks * s.in);
        op.rows = s.rows, op.blocks = s.blocks, op.in = s.in, op.out = s.out;
        op.accumulate = accumulate;
        RunOn(isa, context, op);
        EXPECT_TRUE(SameBits(dx, expected)) << NameOf(isa) << ", blocks of " << s.in;
      });
    }
  }
}

TYPED_TEST(BlockLinearTest, BackwardWeightIsOneChainOverCallsFromTheLastRowToTheFirst) {
  using T = TypeParam;
  for (const Shape& s : kShapes) {
    const int64_t x_row = s.blocks * s.in + 5, dy_row = s.blocks * s.out + 5;
    std::vector<T> x = Values<T>(s.rows * x_row, 1), dy = Values<T>(s.rows * dy_row, 2);
    const std::vector<T> start = Values<T>(s.blocks * s.out * s.in, 3);
    std::vector<T> expected = start;
    for (int64_t i = 0; i < static_cast<int64_t>(start.size()); ++i) {
      const int64_t n = i / (s.out * s.in), o = i / s.in % s.out, k = i % s.in;
      expected[i] = Chain<T>(
          start[i], s.rows,
          [&](int64_t r) { return dy[(s.rows - 1 - r) * dy_row + n * s.out + o]; },
          [&](int64_t r) { return x[(s.rows - 1 - r) * x_row + n * s.in + k]; });
    }
    OnEveryPath([&](Isa isa, Context& context) {
      std::vector<T> dweight = start;
      const int64_t cut = s.rows / 3;
      for (const auto& [first, rows] : {std::pair{cut, s.rows - cut}, std::pair{int64_t{0}, cut}}) {
        BlockLinearBackwardWeight op;
        op.x = this->View(x, s.blocks * s.in, first);
        op.dy = this->View(dy, s.blocks * s.out, first);
        op.dweight = SpanOf(dweight);
        op.rows = rows, op.blocks = s.blocks, op.in = s.in, op.out = s.out;
        RunOn(isa, context, op);
      }
      EXPECT_TRUE(SameBits(dweight, expected)) << NameOf(isa) << ", blocks of " << s.in;
    });
  }
}

TEST(BlockLinearGradientTest, AgreesWithDifferences) {
  for (const Shape& s : {Shape{6, 3, 4, 4}, Shape{5, 2, 3, 6}}) {
    const int64_t x_row = s.blocks * s.in, y_row = s.blocks * s.out;
    std::vector<double> x = Values<double>(s.rows * x_row, 1),
                        weight = Values<double>(y_row * s.in, 2), dx(x.size()),
                        dweight(weight.size());
    const std::vector<double> dy = Values<double>(s.rows * y_row, 3);
    Context context(1);
    const auto loss = [&] {
      std::vector<double> y(dy.size());
      RunOn(Isa::kAvx2, context,
            BlockLinearForward{MatrixOf(x, x_row), SpanOf(weight), MatrixOf(y, y_row), s.rows,
                               s.blocks, s.in, s.out});
      return Weighed(dy, y);
    };

    RunOn(Isa::kAvx2, context,
          BlockLinearBackwardInput{MatrixOf(dy, y_row), SpanOf(weight), MatrixOf(dx, x_row), s.rows,
                                   s.blocks, s.in, s.out});
    RunOn(Isa::kAvx2, context,
          BlockLinearBackwardWeight{MatrixOf(x, x_row), MatrixOf(dy, y_row), SpanOf(dweight),
                                    s.rows, s.blocks, s.in, s.out});

    ExpectClose(dx, Differences(x, loss), 1e-11, "dx");
    ExpectClose(dweight, Differences(weight, loss), 1e-11, "dweight");
  }
}

}  // namespace
}  // namespace carousel::kernels
