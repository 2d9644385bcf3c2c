// The mLSTM gives the same bits whatever the segments, the threads and the instruction set.
#include <gtest/gtest.h>

#include <limits>

#include "tests/kernels/mlstm_case.h"

namespace carousel::kernels {
namespace {

template <class T>
class MlstmInvariance : public testing::Test {
 protected:
  // With and without documents, states and a floor at the start; sizes that are multiples of
  // nothing, and sizes that are whole tiles.
  std::vector<MlstmCase<T>> Cases() {
    std::vector<MlstmCase<T>> cases;
    for (const MlstmShape& shape :
         {Shape(8 * 19 - 6, 2, 2, 21, 37, 19), Shape(8 * 16, 1, 2, 32, 64, 16)}) {
      for (int variant = 0; variant < 4; ++variant) {
        MlstmCase<T> x = RandomCase<T>(shape, 10 + variant, -1);
        if (variant % 2 == 1) ScatterResets(x, 77, 12);
        if (variant / 2 == 1) {
          RemoveStates(x);
          x.shape.initial_m = -std::numeric_limits<double>::infinity();
        }
        cases.push_back(x);
      }
    }
    return cases;
  }
};

using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(MlstmInvariance, Types);

TYPED_TEST(MlstmInvariance, SegmentsChangeNoBit) {
  for (const auto& x : this->Cases()) {
    const auto whole = RunMlstm(x, Paths().back(), 1);

    for (int64_t count : {2, 4, 8}) {
      std::vector<int64_t> segments(count, 8 / count * x.shape.chunk);
      segments.back() = x.shape.steps - (count - 1) * segments[0];
      EXPECT_TRUE(SameBits(RunMlstm(x, Paths().back(), 1, segments), whole));
    }
  }
}

TYPED_TEST(MlstmInvariance, InstructionSetsAndThreadsChangeNoBit) {
  for (const auto& x : this->Cases()) {
    const auto plain = RunMlstm(x, Isa::kScalar, 1);

    for (Isa isa : Paths()) {
      for (int threads = 1; threads <= 3; ++threads)
        EXPECT_TRUE(SameBits(RunMlstm(x, isa, threads), plain));
    }
  }
}

TYPED_TEST(MlstmInvariance, AnUnflaggedStartIsAReset) {
  auto x = this->Cases()[2];
  const auto unflagged = RunMlstm(x, Paths().back(), 1);

  for (int64_t b = 0; b < x.shape.batch; ++b) x.reset[b] = 1;

  EXPECT_TRUE(SameBits(RunMlstm(x, Paths().back(), 1), unflagged));
}

TYPED_TEST(MlstmInvariance, StridedOperandsGiveTheSameBits) {
  // given q, k and v, and their gradients, as columns of wider matrices
  auto x = this->Cases()[0];
  const MlstmShape& s = x.shape;
  const auto plain = RunMlstm(x, Paths().back(), 1);
  const int64_t rows = s.steps * s.batch, qk = s.heads * s.qk_dim, v = s.heads * s.v_dim;
  const int64_t stride = 2 * qk + v + 3;
  std::vector<TypeParam> wide(rows * stride), dwide(rows * stride, TypeParam(5));
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t e = 0; e < qk; ++e) {
      wide[row * stride + e] = x.q[row * qk + e];
      wide[row * stride + qk + e] = x.k[row * qk + e];
    }
    for (int64_t e = 0; e < v; ++e) wide[row * stride + 2 * qk + e] = x.v[row * v + e];
  }
  const auto columns = [&](std::vector<TypeParam>& matrix, int64_t first) {
    return MatrixOf(matrix, stride, first);
  };

  // when both passes run
  MlstmOutcome<TypeParam> y = plain;
  MlstmForward forward;
  forward.shape = s;
  forward.q = columns(wide, 0), forward.k = columns(wide, qk), forward.v = columns(wide, 2 * qk);
  forward.i = SpanOf(x.i), forward.f = SpanOf(x.f);
  forward.reset = SpanOf(x.reset);
  forward.in = {SpanOf(x.c), SpanOf(x.n), SpanOf(x.m)};
  forward.h = SpanOf(y.h), forward.r = SpanOf(y.r), forward.m = SpanOf(y.m);
  MlstmBackward backward{forward};
  backward.dh = SpanOf(x.dh);
  backward.dout = {SpanOf(x.dc), SpanOf(x.dn), Span()};
  backward.dq = columns(dwide, 0), backward.dk = columns(dwide, qk);
  backward.dv = columns(dwide, 2 * qk);
  backward.di = SpanOf(y.di), backward.df = SpanOf(y.df);
  Context context(1);
  RunOn(Paths().back(), context, forward);
  RunOn(Paths().back(), context, backward);

  // then nothing differs, and the columns beside them are untouched
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t e = 0; e < qk; ++e) {
      y.dq[row * qk + e] = dwide[row * stride + e];
      y.dk[row * qk + e] = dwide[row * stride + qk + e];
    }
    for (int64_t e = 0; e < v; ++e) y.dv[row * v + e] = dwide[row * stride + 2 * qk + e];
    for (int64_t e = 2 * qk + v; e < stride; ++e) EXPECT_EQ(dwide[row * stride + e], 5);
  }
  EXPECT_TRUE(SameBits(y, plain));
}

}  // namespace
}  // namespace carousel::kernels
