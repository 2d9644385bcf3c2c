#include "kernels/causal_conv.h"

#include "tests/kernels/pointwise_case.h"

namespace carousel::kernels {
namespace {

constexpr int64_t kWidth = 37, kStride = kWidth + 5;  // x and dx are slices of wider rows

// One sequence run forward and backward, in segments if wished.
template <class T>
struct ConvCase {
  ConvCase(int64_t steps, int64_t batch) : steps(steps), batch(batch) {
    x = Values<T>(steps * batch * kStride, 1);
    weight = Values<T>(kWidth * kConvTaps, 2);
    bias = Values<T>(kWidth, 3);
    dy = Values<T>(steps * batch * kWidth, 4);
    dx = Values<T>(steps * batch * kStride, 5);
    dweight = Values<T>(kWidth * kConvTaps, 6);
    dbias = Values<T>(kWidth, 7);
    reset.assign(steps * batch, 0);
    y.resize(dy.size());
    dz.resize(dy.size());
  }

  int64_t RowsBefore(int64_t t) const { return t * batch; }
  template <class U>
  Span Rows(std::vector<U>& of, int64_t first, int64_t count, int64_t row) {
    if (of.empty()) return Span();
    return SpanOf(of).Slice(RowsBefore(first) * row, RowsBefore(count) * row);
  }
  Matrix Slice(std::vector<T>& of, int64_t first) {
    return MatrixOf(of, kStride, RowsBefore(first) * kStride + 2);
  }

  // `ends` are where the segments end; the last is `steps`.
  void Run(Isa isa, Context& context, const std::vector<int64_t>& ends) {
    const int64_t carry_size = kConvCarry * batch * kWidth;
    std::vector<std::vector<T>> carry(ends.size() + 1, std::vector<T>(carry_size));
    std::vector<std::vector<T>> dcarry = carry;
    for (size_t s = 0; s < ends.size(); ++s) {
      const int64_t first = s == 0 ? 0 : ends[s - 1], count = ends[s] - first;
      ConvForward op;
      op.shape = {count, batch, kWidth};
      op.x = Slice(x, first);
      op.weight = SpanOf(weight), op.bias = SpanOf(bias);
      op.reset = Rows(reset, first, count, 1);
      if (s > 0) op.carry_in = SpanOf(carry[s]);
      op.y = Rows(y, first, count, kWidth);
      op.carry_out = SpanOf(carry[s + 1]);
      RunOn(isa, context, op);
    }
    for (size_t s = ends.size(); s-- > 0;) {
      const int64_t first = s == 0 ? 0 : ends[s - 1], count = ends[s] - first;
      ConvBackwardInput op;
      op.shape = {count, batch, kWidth};
      op.x = Slice(x, first);
      op.weight = SpanOf(weight), op.bias = SpanOf(bias);
      op.reset = Rows(reset, first, count, 1);
      if (s > 0) op.carry_in = SpanOf(carry[s]);
      op.dy = Rows(dy, first, count, kWidth);
      if (s + 1 < ends.size()) op.dcarry_in = SpanOf(dcarry[s + 1]);
      op.dz = Rows(dz, first, count, kWidth);
      op.dx = Slice(dx, first);
      op.accumulate = true;
      op.dcarry_out = SpanOf(dcarry[s]);
      RunOn(isa, context, op);
      RunOn(isa, context,
            ConvBackwardWeight{op.shape, op.x, op.reset, op.carry_in, op.dz, SpanOf(dweight),
                               SpanOf(dbias)});
    }
  }

  std::vector<T> Outputs() const { return Joined<T>({y, dz, dx, dweight, dbias}); }

  int64_t steps, batch;
  std::vector<T> x, weight, bias, dy, y, dz, dx, dweight, dbias;
  std::vector<uint8_t> reset;
};

// Documents that start at the first row, beside each other, and near borders of segments.
template <class T>
ConvCase<T> WithDocuments() {
  ConvCase<T> conv(24, 3);
  for (const auto& [t, b] : {std::pair{0, 0}, {5, 0}, {6, 0}, {13, 0}, {11, 1}, {12, 1}, {20, 2}}) {
    conv.reset[t * conv.batch + b] = 1;
  }
  return conv;
}

TEST(CausalConvTest, EachRowIsTheFormulaOverItsOwnDocument) {
  ConvCase<double> conv = WithDocuments<double>();
  Context context(1);
  conv.Run(Isa::kAvx2, context, {conv.steps});
  for (int64_t b = 0; b < conv.batch; ++b) {
    int64_t start = 0;  // of the document that row t belongs to
    for (int64_t t = 0; t < conv.steps; ++t) {
      if (conv.reset[t * conv.batch + b] != 0) start = t;
      for (int64_t d = 0; d < kWidth; ++d) {
        double z = conv.bias[d];
        for (int64_t back = 0; back < kConvTaps && t - back >= start; ++back) {
          z += conv.weight[d * kConvTaps + 3 - back] *
               conv.x[((t - back) * conv.batch + b) * kStride + 2 + d];
        }
        ASSERT_NEAR(conv.y[(t * conv.batch + b) * kWidth + d], z / (1 + std::exp(-z)), 1e-14);
      }
    }
  }
}

TEST(CausalConvTest, BitsAreTheSameOnEveryPathNumberOfThreadsAndCut) {
  const std::vector<std::vector<int64_t>> cuts = {
      {24}, {12, 24}, {6, 12, 18, 24}, {1, 2, 3, 4, 24}, {13, 14, 16, 24}};
  const auto check = [&](auto zero) {
    using T = decltype(zero);
    std::vector<T> first;
    for (const std::vector<int64_t>& ends : cuts) {
      const std::vector<T> outputs = SameBitsEverywhere<T>([&](Isa isa, Context& context) {
        ConvCase<T> conv = WithDocuments<T>();
        conv.Run(isa, context, ends);
        return conv.Outputs();
      });
      if (first.empty()) first = outputs;
      EXPECT_EQ(FirstDifference(outputs, first), -1) << ends.size() << " segments";
    }
  };
  check(float{});
  check(double{});
}

TEST(CausalConvTest, BackwardAgreesWithDifferencesAcrossSegments) {
  for (const bool documents : {false, true}) {
    ConvCase<double> conv = WithDocuments<double>();
    if (!documents) conv.reset.assign(conv.reset.size(), 0);
    Context context(1);
    conv.dx.assign(conv.dx.size(), 0);
    conv.dweight.assign(conv.dweight.size(), 0);
    conv.dbias.assign(conv.dbias.size(), 0);
    conv.Run(Isa::kAvx2, context, {7, 8, 24});
    const std::vector<double> dx = conv.dx, dweight = conv.dweight, dbias = conv.dbias;
    const auto loss = [&] {
      conv.Run(Isa::kAvx2, context, {24});
      return Weighed(conv.dy, conv.y);
    };
    ExpectClose(dx, Differences(conv.x, loss), 1e-9, "dx");
    ExpectClose(dweight, Differences(conv.weight, loss), 1e-9, "dweight");
    ExpectClose(dbias, Differences(conv.bias, loss), 1e-9, "dbias");
  }
}

TEST(CausalConvTest, NoBitDependsOnTheDocumentBefore) {
  ConvCase<float> conv = WithDocuments<float>();
  Context context(1);
  ConvCase<float> other = conv;
  for (int64_t t = 0; t < 13; ++t) {  // sequence 0 before its document that starts at 13
    for (int64_t d = 0; d < kStride; ++d) {
      other.x[t * conv.batch * kStride + d] = NAN;
      if (d < kWidth) other.dy[t * conv.batch * kWidth + d] = NAN;
    }
  }
  for (const std::vector<int64_t>& ends : {std::vector<int64_t>{24}, {12, 24}, {14, 24}}) {
    ConvCase<float> a = conv, b = other;
    a.Run(Isa::kAvx2, context, ends);
    b.Run(Isa::kAvx2, context, ends);
    const int64_t from = 13 * conv.batch;
    for (int64_t row = from; row < conv.steps * conv.batch; row += conv.batch) {
      for (int64_t d = 0; d < kWidth; ++d) {
        ASSERT_EQ(a.y[row * kWidth + d], b.y[row * kWidth + d]);
        ASSERT_EQ(a.dz[row * kWidth + d], b.dz[row * kWidth + d]);
        ASSERT_EQ(a.dx[row * kStride + 2 + d], b.dx[row * kStride + 2 + d]);
      }
    }
  }
}

TEST(CausalConvTest, DzMayTakeThePlaceOfDyAndDxNeedNotAccumulate) {
  ConvCase<float> conv = WithDocuments<float>();
  Context context(2);
  ConvCase<float> apart = conv;
  apart.dx.assign(apart.dx.size(), 0);
  apart.Run(Isa::kAvx2, context, {24});
  ConvBackwardInput op;
  op.shape = {24, conv.batch, kWidth};
  op.x = conv.Slice(conv.x, 0);
  op.weight = SpanOf(conv.weight), op.bias = SpanOf(conv.bias), op.reset = SpanOf(conv.reset);
  op.dy = op.dz = SpanOf(conv.dy);
  op.dx = conv.Slice(conv.dx, 0);
  RunOn(Isa::kAvx2, context, op);
  EXPECT_EQ(FirstDifference(conv.dy, apart.dz), -1);
  for (int64_t row = 0; row < 24 * conv.batch; ++row) {
    for (int64_t d = 0; d < kWidth; ++d) {
      ASSERT_EQ(conv.dx[row * kStride + 2 + d], apart.dx[row * kStride + 2 + d]);
    }
  }
}

TEST(CausalConvTest, WithoutFlagsNoRowIsReset) {
  Context context(1);
  ConvCase<float> flags(24, 3), none(24, 3);
  none.reset.clear();
  flags.Run(Isa::kAvx2, context, {flags.steps});
  none.Run(Isa::kAvx2, context, {none.steps});
  EXPECT_EQ(FirstDifference(none.Outputs(), flags.Outputs()), -1);
}

}  // namespace
}  // namespace carousel::kernels
