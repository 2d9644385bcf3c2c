// The gradients of the mLSTM against finite differences, and in the corners of floating point.
//
// m is held constant in backward, so differences are taken where m cancels: eps = 0, and
// functionals of C e^m and n e^m, the states that do not depend on m.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/kernels/mlstm_case.h"

namespace carousel::kernels {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// sum of dh h + sum of wc C e^m + sum of wn n e^m.
struct Functional {
  std::vector<double> wc, wn;

  double Value(const MlstmCase<double>& x, const std::vector<int64_t>& segments) const {
    const MlstmOutcome<double> y = RunMlstm(x, Paths().back(), 1, segments);
    double sum = 0;
    for (size_t e = 0; e < y.h.size(); ++e) sum += x.dh[e] * y.h[e];
    for (size_t e = 0; e < wc.size(); ++e) {
      sum += wc[e] * y.c_last[e] * std::exp(y.m_last[e / (wc.size() / y.m_last.size())]);
    }
    for (size_t e = 0; e < wn.size(); ++e) {
      sum += wn[e] * y.n_last[e] * std::exp(y.m_last[e / (wn.size() / y.m_last.size())]);
    }
    return sum;
  }

  // The gradient of the last state with m constant.
  void Seed(MlstmCase<double>& x) const {
    const MlstmOutcome<double> y = RunMlstm(x, Paths().back(), 1);
    x.dc = wc, x.dn = wn;
    for (size_t e = 0; e < wc.size(); ++e) {
      x.dc[e] *= std::exp(y.m_last[e / (wc.size() / y.m_last.size())]);
    }
    for (size_t e = 0; e < wn.size(); ++e) {
      x.dn[e] *= std::exp(y.m_last[e / (wn.size() / y.m_last.size())]);
    }
  }
};

void ExpectDifferencesAgree(MlstmCase<double> x, const std::vector<int64_t>& segments) {
  x.shape.epsilon = 0;
  const Functional functional = {Values<double>(x.dc.size(), 1), Values<double>(x.dn.size(), 2)};
  functional.Seed(x);
  const MlstmOutcome<double> y = RunMlstm(x, Paths().back(), 1, segments);
  struct Pair {
    const char* name;
    std::vector<double>* values;
    const std::vector<double>* gradient;
  };
  std::vector<Pair> pairs = {{"q", &x.q, &y.dq},
                             {"k", &x.k, &y.dk},
                             {"v", &x.v, &y.dv},
                             {"i", &x.i, &y.di},
                             {"f", &x.f, &y.df}};
  if (!x.c.empty()) pairs.insert(pairs.end(), {{"C", &x.c, &y.dc}, {"n", &x.n, &y.dn}});
  double largest = 0;
  for (const Pair& pair : pairs) {
    for (double value : *pair.gradient) largest = std::max(largest, std::abs(value));
  }
  constexpr double kStep = 1e-5;
  for (const Pair& pair : pairs) {
    for (size_t e = 0; e < pair.values->size(); ++e) {
      const double middle = (*pair.values)[e];
      (*pair.values)[e] = middle + kStep;
      const double above = functional.Value(x, segments);
      (*pair.values)[e] = middle - kStep;
      const double below = functional.Value(x, segments);
      (*pair.values)[e] = middle;
      EXPECT_NEAR((*pair.gradient)[e], (above - below) / (2 * kStep), 2e-8 * largest)
          << pair.name << " " << e;
    }
  }
}

TEST(MlstmGradient, AgreesWithDifferences) {
  ExpectDifferencesAgree(RandomCase<double>(Shape(11, 2, 2, 3, 5, 4), 31), {});
}

TEST(MlstmGradient, AgreesWithDifferencesAcrossSegmentBorders) {
  ExpectDifferencesAgree(RandomCase<double>(Shape(11, 1, 2, 3, 5, 4), 32), {4, 7});
  ExpectDifferencesAgree(RandomCase<double>(Shape(7, 1, 1, 3, 2, 1), 33), {3, 1, 3});
}

TEST(MlstmGradient, AgreesWithDifferencesFromEitherStart) {
  for (double initial_m : {0.0, -kInfinity}) {
    MlstmCase<double> x = RandomCase<double>(Shape(10, 1, 2, 3, 4, 4), 34);
    x.shape.initial_m = initial_m;
    x.c.clear(), x.n.clear(), x.m.clear();
    ExpectDifferencesAgree(x, {8, 2});
  }
}

TEST(MlstmGradient, AgreesWithDifferencesThroughDocuments) {
  for (double initial_m : {0.0, -kInfinity}) {
    MlstmCase<double> x = RandomCase<double>(Shape(18, 1, 2, 3, 4, 8), 35);
    x.shape.initial_m = initial_m;
    for (int64_t step : {2, 5, 8, 11}) x.reset[step] = 1;
    ExpectDifferencesAgree(x, {});
    ExpectDifferencesAgree(x, {8, 10});
  }
}

TEST(MlstmGradient, AgreesWithDifferencesWhereTheFloorRules) {
  // i around -6: exp(-m) is larger than |n . qs| almost everywhere.
  MlstmCase<double> x = RandomCase<double>(Shape(11, 1, 2, 3, 5, 4), 36, -6);
  x.c.clear(), x.n.clear(), x.m.clear();
  ExpectDifferencesAgree(x, {});
}

template <class T>
void ExpectFinite(const MlstmOutcome<T>& y) {
  for (const auto& [name, values] : y.All()) {
    for (T value : *values) ASSERT_TRUE(std::isfinite(value)) << name;
  }
}

TEST(MlstmCorners, GatesFarFromZeroLeaveEverythingFinite) {
  for (double initial_m : {0.0, -kInfinity}) {
    for (double i_mean : {-300.0, -95.0, 95.0, 300.0}) {
      for (double f_mean : {-1000.0, -80.0, 80.0, 1000.0}) {
        MlstmCase<float> x = RandomCase<float>(Shape(40, 1, 1, 8, 8, 16), 41, i_mean);
        x.shape.initial_m = initial_m;
        x.c.clear(), x.n.clear(), x.m.clear();
        for (float& f : x.f) f += static_cast<float>(f_mean);
        x.reset[21] = x.reset[32] = 1;
        for (Isa isa : Paths()) ExpectFinite(RunMlstm(x, isa, 1));
      }
    }
  }
}

TEST(MlstmCorners, WhereExpOfMinusMOverflowsTheOutputIsZero) {
  // given input gates of about -100 from a start at -infinity: exp(-m) is infinite in float
  MlstmCase<float> x = RandomCase<float>(Shape(20, 1, 1, 8, 8, 16), 42, -100);
  RemoveStates(x);
  x.shape.initial_m = -kInfinity;

  const MlstmOutcome<float> y = RunMlstm(x, Paths().back(), 1);

  for (float m : y.m) EXPECT_LT(m, -90);
  for (const auto* values : {&y.h, &y.dq, &y.dk, &y.dv, &y.di, &y.df}) {
    for (float value : *values) ASSERT_EQ(value, 0);
  }
}

TEST(MlstmCorners, TheNormaliserWinsATie) {
  // given one step with n . qs = exp(-m) = 1 exactly: DQK = 1, q = k = 1, i = 0, m = 0
  MlstmCase<double> x;
  x.shape = Shape(1, 1, 1, 1, 1, 1);
  x.shape.epsilon = 0;
  x.q = {1}, x.k = {1}, x.v = {3}, x.i = {0}, x.f = {0}, x.dh = {1}, x.reset = {0};

  const MlstmOutcome<double> y = RunMlstm(x, Paths().back(), 1);

  // then h = v r / |r| does not change with q or i; had exp(-m) won, both would be 3
  EXPECT_EQ(y.h[0], 3);
  EXPECT_EQ(y.dq[0], 0);
  EXPECT_EQ(y.di[0], 0);
  EXPECT_EQ(y.dv[0], 1);
}

}  // namespace
}  // namespace carousel::kernels
