#include "kernels/gated.h"

#include "tests/kernels/pointwise_case.h"

namespace carousel::kernels {
namespace {

constexpr int64_t kRows = 35, kWidth = 43;

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double Act(GateKind kind, double x) {
  return kind == GateKind::kSilu ? x * Sigmoid(x) : x / 2 * (1 + std::erf(x * std::sqrt(0.5)));
}

// Arguments from -8 to 8, so that gates open, shut and hang between.
template <class T>
std::vector<T> Arguments(int64_t size, uint64_t seed) {
  std::vector<T> values = Values<T>(size, seed);
  for (T& value : values) value *= 8;
  return values;
}

// gate and up are two halves of one projection, as in a feed-forward.
template <class T>
struct UnitCase {
  explicit UnitCase(GateKind kind) : kind(kind) {}

  void Forward(Isa isa, Context& context) {
    RunOn(isa, context,
          GatedUnitForward{kind, MatrixOf(both, 2 * kWidth), MatrixOf(both, 2 * kWidth, kWidth),
                           MatrixOf(y, kWidth), kRows, kWidth});
  }
  // The gradients take the place of gate and up.
  void Backward(Isa isa, Context& context) {
    const Matrix gate = MatrixOf(both, 2 * kWidth), up = MatrixOf(both, 2 * kWidth, kWidth);
    RunOn(isa, context,
          GatedUnitBackward{kind, gate, up, MatrixOf(dy, kWidth), gate, up, kRows, kWidth});
  }

  GateKind kind;
  std::vector<T> both = Arguments<T>(kRows * 2 * kWidth, 1), dy = Values<T>(kRows * kWidth, 2);
  std::vector<T> y = std::vector<T>(kRows * kWidth);
};

TEST(GatedTest, UnitsAgreeWithTheFormula) {
  for (const GateKind kind : {GateKind::kSilu, GateKind::kGelu}) {
    Context context(1);
    UnitCase<float> unit(kind);
    unit.Forward(Isa::kAvx2, context);
    std::vector<double> expected;
    for (int64_t row = 0; row < kRows; ++row) {
      for (int64_t i = 0; i < kWidth; ++i) {
        const float* of_row = unit.both.data() + row * 2 * kWidth;
        expected.push_back(Act(kind, of_row[i]) * of_row[kWidth + i]);
      }
    }
    ExpectClose(unit.y, expected, 3e-7, "y");
  }
}

TEST(GatedTest, UnitsBackwardAgreesWithDifferencesInPlace) {
  for (const GateKind kind : {GateKind::kSilu, GateKind::kGelu}) {
    Context context(1);
    UnitCase<double> unit(kind), gradient(kind);
    gradient.Backward(Isa::kAvx2, context);
    const std::vector<double> expected = Differences(unit.both, [&] {
      unit.Forward(Isa::kAvx2, context);
      return Weighed(unit.dy, unit.y);
    });
    ExpectClose(gradient.both, expected, 1e-9, "d(gate, up)");
  }
}

TEST(GatedTest, OutputGateAgreesWithFormulaAndDifferences) {
  Context context(1);
  std::vector<double> o = Arguments<double>(300, 1), h = Values<double>(300, 2),
                      dy = Values<double>(300, 3), y(300);
  const auto loss = [&] {
    RunOn(Isa::kAvx2, context, OutputGateForward{SpanOf(o), SpanOf(h), SpanOf(y)});
    return Weighed(dy, y);
  };
  loss();
  for (size_t i = 0; i < y.size(); ++i) ASSERT_NEAR(y[i], Sigmoid(o[i]) * h[i], 1e-15);
  const std::vector<double> d_o = Differences(o, loss), dh = Differences(h, loss);
  RunOn(Isa::kAvx2, context,
        OutputGateBackward{SpanOf(o), SpanOf(h), SpanOf(dy), SpanOf(o), SpanOf(h)});
  ExpectClose(o, d_o, 1e-9, "do");
  ExpectClose(h, dh, 1e-9, "dh");
}

template <class T>
struct SkipCase {
  void Forward(Isa isa, Context& context) {
    RunOn(isa, context,
          SkipGateForward{MatrixOf(h, kWidth), MatrixOf(c, kWidth), MatrixOf(z, kWidth + 2, 1),
                          SpanOf(skip), MatrixOf(y, kWidth), kRows, kWidth});
  }
  void Backward(Isa isa, Context& context, bool accumulate) {
    RunOn(isa, context,
          SkipGateBackwardInput{MatrixOf(h, kWidth), MatrixOf(c, kWidth),
                                MatrixOf(z, kWidth + 2, 1), SpanOf(skip), MatrixOf(dy, kWidth),
                                MatrixOf(dh, kWidth), MatrixOf(dc, kWidth),
                                MatrixOf(dz, kWidth + 2, 1), accumulate, kRows, kWidth});
    RunOn(isa, context,
          SkipGateBackwardWeight{MatrixOf(dh, kWidth), MatrixOf(c, kWidth), SpanOf(dskip), kRows,
                                 kWidth});
  }

  std::vector<T> h = Values<T>(kRows * kWidth, 1), c = Values<T>(kRows * kWidth, 2),
                 z = Arguments<T>(kRows * (kWidth + 2), 3), skip = Values<T>(kWidth, 4),
                 dy = Values<T>(kRows * kWidth, 5);
  std::vector<T> y = std::vector<T>(kRows * kWidth), dh = y, dc = y,
                 dz = std::vector<T>(kRows * (kWidth + 2)), dskip = std::vector<T>(kWidth);
};

TEST(GatedTest, SkipGateAgreesWithFormulaAndDifferences) {
  Context context(1);
  SkipCase<double> gate;
  gate.Backward(Isa::kAvx2, context, false);
  const auto loss = [&] {
    gate.Forward(Isa::kAvx2, context);
    return Weighed(gate.dy, gate.y);
  };
  loss();
  for (int64_t row = 0; row < kRows; ++row) {
    for (int64_t i = 0; i < kWidth; ++i) {
      const int64_t at = row * kWidth + i;
      const double z = gate.z[row * (kWidth + 2) + 1 + i];
      ASSERT_NEAR(gate.y[at], (gate.h[at] + gate.skip[i] * gate.c[at]) * z * Sigmoid(z), 1e-14);
    }
  }
  ExpectClose(gate.dh, Differences(gate.h, loss), 1e-9, "dh");
  ExpectClose(gate.dc, Differences(gate.c, loss), 1e-9, "dc");
  ExpectClose(gate.dz, Differences(gate.z, loss), 1e-9, "dz");
  ExpectClose(gate.dskip, Differences(gate.skip, loss), 1e-9, "dskip");
}

TEST(GatedTest, SkipGateAddsToDcIfAsked) {
  Context context(1);
  SkipCase<double> fresh, added;
  added.dc = Values<double>(kRows * kWidth, 9);
  const std::vector<double> start = added.dc;
  fresh.Backward(Isa::kAvx2, context, false);
  added.Backward(Isa::kAvx2, context, true);
  for (size_t i = 0; i < start.size(); ++i) {
    ASSERT_NEAR(added.dc[i], start[i] + fresh.dc[i], 1e-15);
  }
}

template <class T>
void ExpectSameBitsEverywhere() {
  for (const GateKind kind : {GateKind::kSilu, GateKind::kGelu}) {
    SameBitsEverywhere<T>([&](Isa isa, Context& context) {
      UnitCase<T> unit(kind);
      unit.Forward(isa, context);
      unit.Backward(isa, context);
      return Joined<T>({unit.y, unit.both});
    });
  }
  SameBitsEverywhere<T>([](Isa isa, Context& context) {
    SkipCase<T> gate;
    gate.Forward(isa, context);
    gate.Backward(isa, context, true);
    return Joined<T>({gate.y, gate.dh, gate.dc, gate.dz, gate.dskip});
  });
  SameBitsEverywhere<T>([](Isa isa, Context& context) {
    std::vector<T> o = Arguments<T>(40001, 1), h = Values<T>(40001, 2), dy = Values<T>(40001, 3),
                   y(40001);
    RunOn(isa, context, OutputGateForward{SpanOf(o), SpanOf(h), SpanOf(y)});
    RunOn(isa, context, OutputGateBackward{SpanOf(o), SpanOf(h), SpanOf(dy), SpanOf(o), SpanOf(h)});
    return Joined<T>({y, o, h});
  });
}

TEST(GatedTest, BitsAreTheSameOnEveryPathAndNumberOfThreads) {
  ExpectSameBitsEverywhere<float>();
  ExpectSameBitsEverywhere<double>();
}

}  // namespace
}  // namespace carousel::kernels
