// The chunkwise mLSTM against its two other forms.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/kernels/mlstm_case.h"

namespace carousel::kernels {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <class T>
double Largest(const std::vector<T>& values) {
  double largest = 0;
  for (T value : values) largest = std::max<double>(largest, std::abs(value));
  return largest;
}

// max |a - b| / max |b|, or `least` if that is smaller (max |a - b| where both are zero).
template <class T>
double Distance(const std::vector<T>& a, const std::vector<T>& b, double least = 0) {
  EXPECT_EQ(a.size(), b.size());
  double difference = 0;
  const double largest = std::max(Largest(b), least);
  for (size_t e = 0; e < b.size(); ++e) {
    if (!std::isfinite(a[e])) return kInfinity;
    difference = std::max<double>(difference, std::abs(a[e] - b[e]));
  }
  return largest > 0 ? difference / largest : difference;
}

// The outcome's values of one head, as the other forms lay them out.
template <class T>
MlstmHead<T> Picked(const MlstmShape& shape, int64_t sequence, int64_t head,
                    const std::vector<T>& q, const std::vector<T>& k, const std::vector<T>& v,
                    const std::vector<T>& i, const std::vector<T>& f) {
  MlstmCase<T> x;
  x.shape = shape;
  x.q = q, x.k = k, x.v = v, x.i = i, x.f = f;
  return HeadOf(x, sequence, head);
}

template <class T>
std::vector<T> Part(const std::vector<T>& values, int64_t index, int64_t count) {
  const int64_t size = static_cast<int64_t>(values.size()) / count;
  return {values.begin() + index * size, values.begin() + (index + 1) * size};
}

struct Sizes {
  int64_t steps, batch, heads, qk_dim, v_dim, chunk;
};

// A gradient below this part of dv is what is left of terms that cancelled: where the normaliser
// rules, h does not change with q, k and i but for epsilon.
constexpr double kCancelled = 1e-4;

class MlstmForms : public testing::TestWithParam<Sizes> {
 protected:
  MlstmShape shape() const {
    const Sizes& p = GetParam();
    return Shape(p.steps, p.batch, p.heads, p.qk_dim, p.v_dim, p.chunk);
  }

  template <class T>
  void ExpectRecurrent(const MlstmCase<T>& x, const MlstmOutcome<T>& y, double tolerance) {
    const MlstmShape& s = x.shape;
    const int64_t count = s.batch * s.heads;
    for (int64_t index = 0; index < count; ++index) {
      const int64_t b = index / s.heads, head = index % s.heads;
      const MlstmHead<T> inputs = HeadOf(x, b, head);
      const MlstmHead<T> outputs = Picked(s, b, head, x.q, x.k, y.h, y.r, y.m);
      const MlstmHead<T> gradients = Picked(s, b, head, y.dq, y.dk, y.dv, y.di, y.df);
      const MlstmHeadResult<T> result = MlstmRecurrent(inputs);
      const auto dh = Picked(s, b, head, x.q, x.k, x.dh, x.i, x.f).v;
      const auto dc = x.dc.empty() ? x.dc : Part(x.dc, index, count);
      const auto dn = x.dn.empty() ? x.dn : Part(x.dn, index, count);
      const MlstmHeadGradient<T> gradient = MlstmRecurrentGradient(inputs, dh, dc, dn);
      const double least = kCancelled * Largest(gradient.v);
      EXPECT_LE(Distance(outputs.v, result.h), tolerance) << "h";
      EXPECT_LE(Distance(outputs.i, result.r), tolerance) << "r";
      EXPECT_LE(Distance(outputs.f, result.m), tolerance) << "m";
      EXPECT_LE(Distance(Part(y.c_last, index, count), result.c), tolerance) << "C";
      EXPECT_LE(Distance(Part(y.n_last, index, count), result.n), tolerance) << "n";
      EXPECT_LE(Distance(gradients.q, gradient.q, least), tolerance) << "dq";
      EXPECT_LE(Distance(gradients.k, gradient.k, least), tolerance) << "dk";
      EXPECT_LE(Distance(gradients.v, gradient.v, least), tolerance) << "dv";
      EXPECT_LE(Distance(gradients.i, gradient.i, least), tolerance) << "di";
      EXPECT_LE(Distance(gradients.f, gradient.f, least), tolerance) << "df";
      if (x.c.empty()) continue;
      EXPECT_LE(Distance(Part(y.dc, index, count), gradient.c), tolerance) << "dC";
      EXPECT_LE(Distance(Part(y.dn, index, count), gradient.n), tolerance) << "dn";
    }
  }

  void ExpectParallel(const MlstmCase<double>& x, const MlstmOutcome<double>& y) {
    const MlstmShape& s = x.shape;
    for (int64_t index = 0; index < s.batch * s.heads; ++index) {
      const int64_t b = index / s.heads, head = index % s.heads;
      const MlstmHead<double> inputs = HeadOf(x, b, head);
      const MlstmHead<double> outputs = Picked(s, b, head, x.q, x.k, y.h, y.r, y.m);
      const MlstmHead<double> gradients = Picked(s, b, head, y.dq, y.dk, y.dv, y.di, y.df);
      const auto dh = Picked(s, b, head, x.q, x.k, x.dh, x.i, x.f).v;
      const MlstmHeadResult<double> result = MlstmParallel(inputs);
      const MlstmHeadGradient<double> gradient = MlstmParallelGradient(inputs, dh);
      const double least = kCancelled * Largest(gradient.v);
      EXPECT_LE(Distance(outputs.v, result.h), 1e-12) << "h";
      EXPECT_LE(Distance(outputs.f, result.m), 1e-12) << "m";
      EXPECT_LE(Distance(gradients.q, gradient.q, least), 1e-12) << "dq";
      EXPECT_LE(Distance(gradients.k, gradient.k, least), 1e-12) << "dk";
      EXPECT_LE(Distance(gradients.v, gradient.v, least), 1e-12) << "dv";
      EXPECT_LE(Distance(gradients.i, gradient.i, least), 1e-12) << "di";
      EXPECT_LE(Distance(gradients.f, gradient.f, least), 1e-12) << "df";
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Sizes, MlstmForms,
                         testing::Values(Sizes{1, 1, 1, 1, 1, 1}, Sizes{7, 2, 1, 3, 5, 1},
                                         Sizes{5, 1, 2, 16, 32, 64}, Sizes{37, 2, 3, 9, 17, 8},
                                         Sizes{64, 1, 2, 8, 16, 16}, Sizes{50, 2, 1, 33, 20, 19},
                                         Sizes{130, 1, 1, 20, 40, 64}),
                         [](const auto& info) {
                           const Sizes& p = info.param;
                           return "S" + std::to_string(p.steps) + "L" + std::to_string(p.chunk);
                         });

TEST_P(MlstmForms, ChunksGiveWhatStepsGive) {
  const MlstmCase<double> x = RandomCase<double>(shape(), 1);
  for (Isa isa : Paths()) ExpectRecurrent(x, RunMlstm(x, isa, 1), 1e-12);
}

TEST_P(MlstmForms, ChunksGiveWhatStepsGiveInFloat) {
  const MlstmCase<float> x = RandomCase<float>(shape(), 2, -1);
  for (Isa isa : Paths()) ExpectRecurrent(x, RunMlstm(x, isa, 1), 2e-4);
}

TEST_P(MlstmForms, FromTheStartAllThreeAgreeInBothFamilies) {
  for (double initial_m : {0.0, -kInfinity}) {
    MlstmCase<double> x = RandomCase<double>(shape(), 3);
    RemoveStates(x);
    x.shape.initial_m = initial_m;

    const MlstmOutcome<double> y = RunMlstm(x, Paths().back(), 1);

    ExpectRecurrent(x, y, 1e-12);
    ExpectParallel(x, y);
  }
}

TEST_P(MlstmForms, ResetsAreWhatTheyAreStepByStep) {
  for (double initial_m : {0.0, -kInfinity}) {
    MlstmCase<double> x = RandomCase<double>(shape(), 4, -2);
    x.shape.initial_m = initial_m;
    ScatterResets(x, 5, 7);

    ExpectRecurrent(x, RunMlstm(x, Paths().back(), 1), 1e-12);

    RemoveStates(x);
    const MlstmOutcome<double> y = RunMlstm(x, Paths().back(), 1);
    ExpectRecurrent(x, y, 1e-12);
    ExpectParallel(x, y);
  }
}

TEST(Mlstm, AStabiliserFarFromZeroCostsNoAccuracyInFloat) {
  // given gates whose m is about 900, where a float has steps of 6e-5, over several chunks
  // (and queries and keys of one sign, lest n . qs cancel)
  MlstmCase<float> x = RandomCase<float>(Shape(100, 1, 1, 16, 16, 16), 6, 900);
  for (auto* values : {&x.q, &x.k}) {
    for (float& value : *values) value = std::abs(value);
  }
  RemoveStates(x);
  MlstmCase<double> exact;
  exact.shape = x.shape;
  const auto widen = [](const std::vector<float>& values) {
    return std::vector<double>(values.begin(), values.end());
  };
  exact.q = widen(x.q), exact.k = widen(x.k), exact.v = widen(x.v), exact.i = widen(x.i);
  exact.f = widen(x.f), exact.dh = widen(x.dh), exact.reset = x.reset;

  // when the cell runs in float and in double, from the start
  const MlstmOutcome<float> y = RunMlstm(x, Paths().back(), 1);
  const MlstmOutcome<double> z = RunMlstm(exact, Paths().back(), 1);

  // then what does not depend on m agrees to the rounding of float
  EXPECT_LE(Distance(widen(y.h), z.h), 1e-6);
  EXPECT_LE(Distance(widen(y.dq), z.dq), 2e-6);
  EXPECT_LE(Distance(widen(y.dk), z.dk), 2e-6);
  EXPECT_LE(Distance(widen(y.dv), z.dv), 1e-6);
}

}  // namespace
}  // namespace carousel::kernels
