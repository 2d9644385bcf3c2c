#include <cmath>

#include "gtest/gtest.h"
#include "tests/kernels/slstm_case.h"

namespace carousel::kernels {
namespace {

// Neither is a multiple of a vector or a tile.
constexpr SlstmShape kShape = {.steps = 12, .batch = 3, .heads = 2, .head_dim = 19};

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// h of every row by the formulas of the paper.
std::vector<double> Definition(const SlstmCase<double>& given) {
  const auto [steps, batch, heads, dim] = given.shape;
  const int64_t width = given.width(), size = batch * width;
  std::vector<double> h_all, h(size), c(size), n(size), m(size);
  if (!given.in.h.empty()) h = given.in.h, c = given.in.c, n = given.in.n, m = given.in.m;
  for (int64_t row = 0; row < steps * batch; ++row) {
    const int64_t state = row % batch * width;
    if (given.reset[row]) {
      for (auto* part : {&h, &c, &n, &m}) std::fill_n(part->begin() + state, width, 0.0);
    }
    const std::vector<double> before(h.begin() + state, h.begin() + state + width);
    for (int64_t u = 0; u < width; ++u) {
      const int64_t head = u / dim, at = state + u;
      double raw[4];
      for (int64_t gate = 0; gate < 4; ++gate) {
        raw[gate] =
            given.x[(row * 4 + gate) * width + u] + given.b[(head * 4 + gate) * dim + u % dim];
        for (int64_t k = 0; k < dim; ++k) {
          raw[gate] +=
              given.r[((head * dim + k) * 4 + gate) * dim + u % dim] * before[head * dim + k];
        }
      }
      const double l = m[at] + std::log(Sigmoid(raw[1]));
      m[at] = n[at] == 0 ? raw[0] : std::max(raw[0], l);
      const double i = std::min(std::exp(raw[0] - m[at]), 1.0);
      const double f = std::min(std::exp(l - m[at]), 1.0);
      c[at] = f * c[at] + i * std::tanh(raw[2]);
      n[at] = f * n[at] + i;
      h[at] = Sigmoid(raw[3]) * c[at] / n[at];
    }
    h_all.insert(h_all.end(), h.begin() + state, h.begin() + state + width);
  }
  return h_all;
}

TEST(SlstmTest, ForwardIsTheDefinition) {
  for (const bool with_state : {false, true}) {
    SlstmCase<double> given(kShape);
    if (with_state) given.GiveState();
    given.reset[4] = given.reset[17] = 1;
    const std::vector<double> expected = Definition(given);
    for (const Isa isa : Paths()) {
      const SlstmResult<double> result = RunSlstm(given, 1, isa);
      for (size_t i = 0; i < expected.size(); ++i) {
        ASSERT_NEAR(result.h[i], expected[i], 1e-12) << NameOf(isa) << " at " << i;
      }
    }
  }
}

// Large gates of both signs: the exponentials would overflow without the stabiliser.
TEST(SlstmTest, ForwardIsTheDefinitionWithExtremeGates) {
  SlstmCase<double> given(kShape);
  for (double& x : given.x) x *= 20;
  const std::vector<double> expected = Definition(given);
  const SlstmResult<double> result = RunSlstm(given);
  for (size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(result.h[i], expected[i], 1e-10);
}

TEST(SlstmTest, BitsDoNotDependOnPathThreadsOrSegments) {
  for (const SlstmShape& shape : {kShape, SlstmShape{4, 8, 4, 32}, SlstmShape{4, 30, 1, 16}}) {
    SlstmCase<float> given(shape);
    given.GiveState();
    given.reset[shape.batch + 1] = given.reset[3 * shape.batch] = 1;
    const SlstmResult<float> expected = RunSlstm(given, 1, Isa::kScalar);
    for (const Isa isa : Paths()) {
      for (int threads = 1; threads <= 3; ++threads) {
        for (const int64_t segments : {1, 2, 4}) {
          const SlstmResult<float> result = RunSlstm(given, segments, isa, threads);
          EXPECT_STREQ(result.Difference(expected), "")
              << NameOf(isa) << ", " << threads << " threads, " << segments << " segments";
        }
      }
    }
  }
}

// sum(dy h), whose gradients the backward operations compute.
double Loss(const SlstmCase<double>& given) {
  const std::vector<double> h = Definition(given);
  double loss = 0;
  for (size_t i = 0; i < h.size(); ++i) loss += given.dy[i] * h[i];
  return loss;
}

// Central differences of some elements of `values`, a tensor of `given`.
void ExpectGradient(const SlstmCase<double>& given, std::vector<double>& values,
                    const std::vector<double>& gradient, const char* name) {
  constexpr double kStep = 1e-5;
  ASSERT_EQ(values.size(), gradient.size()) << name;
  const size_t stride = values.size() / 60 + 1;
  for (size_t i = 0; i < values.size(); i += stride) {
    const double value = values[i];
    values[i] = value + kStep;
    const double above = Loss(given);
    values[i] = value - kStep;
    const double below = Loss(given);
    values[i] = value;
    const double expected = (above - below) / (2 * kStep);
    EXPECT_NEAR(gradient[i], expected, 1e-8 * (1 + std::abs(expected))) << name << " at " << i;
  }
}

TEST(SlstmTest, GradientsAreThoseOfFiniteDifferencesAcrossSegmentsAndResets) {
  for (const int64_t segments : {1, 3}) {
    SlstmCase<double> given(kShape);
    given.GiveState();
    given.reset[4] = given.reset[17] = given.reset[24] = 1;  // row 24 begins a segment
    const SlstmResult<double> result = RunSlstm(given, segments);
    ExpectGradient(given, given.x, result.draw, "x");
    ExpectGradient(given, given.r, result.dr, "R");
    ExpectGradient(given, given.b, result.db, "b");
    ExpectGradient(given, given.in.h, result.din.h, "h");
    ExpectGradient(given, given.in.c, result.din.c, "c");
    ExpectGradient(given, given.in.n, result.din.n, "n");
  }
}

TEST(SlstmTest, GradientsFromZerosAreThoseOfFiniteDifferences) {
  SlstmCase<double> given(kShape);
  const SlstmResult<double> result = RunSlstm(given, 2);
  ExpectGradient(given, given.x, result.draw, "x");
  ExpectGradient(given, given.r, result.dr, "R");
}

// Rows [first, first + length) of sequence b of a tensor with `columns` elements a row.
std::vector<float> RowsOf(const std::vector<float>& values, int64_t first, int64_t length,
                          int64_t b, int64_t columns) {
  std::vector<float> rows;
  for (int64_t t = first; t < first + length; ++t) {
    const auto row = values.begin() + (t * kShape.batch + b) * columns;
    rows.insert(rows.end(), row, row + columns);
  }
  return rows;
}

TEST(SlstmTest, ADocumentHasTheBitsOfADocumentAloneWhereverItStarts) {
  constexpr int64_t kLength = 5, kSequence = 1;
  for (const Isa isa : Paths()) {
    for (const int64_t first : {0, 3, 4, 7}) {  // 3 and 4: around the border of segments
      // Given a window with a document in the middle of others,
      SlstmCase<float> window(kShape);
      window.GiveState();
      window.reset[first * kShape.batch + kSequence] = 1;
      if (first + kLength < kShape.steps) {
        window.reset[(first + kLength) * kShape.batch + kSequence] = 1;
      }
      // and the document by itself,
      const int64_t width = window.width();
      SlstmCase<float> alone(SlstmShape{kLength, 1, kShape.heads, kShape.head_dim});
      alone.x = RowsOf(window.x, first, kLength, kSequence, 4 * width);
      alone.dy = RowsOf(window.dy, first, kLength, kSequence, width);
      // when both are run,
      const SlstmResult<float> in_window = RunSlstm(window, 3, isa, 2);
      const SlstmResult<float> by_itself = RunSlstm(alone, 1, isa);
      // then outputs and input gradients have equal bits.
      EXPECT_EQ(FirstDifference(RowsOf(in_window.h, first, kLength, kSequence, width), by_itself.h),
                -1)
          << NameOf(isa) << " from " << first;
      EXPECT_EQ(FirstDifference(RowsOf(in_window.draw, first, kLength, kSequence, 4 * width),
                                by_itself.draw),
                -1)
          << NameOf(isa) << " from " << first;
    }
  }
}

TEST(SlstmTest, NothingFlowsBackAcrossAReset) {
  SlstmCase<float> given(kShape);
  given.GiveState();
  for (int64_t b = 0; b < kShape.batch; ++b) given.reset[b] = 1;
  const SlstmResult<float> result = RunSlstm(given);
  const std::vector<float> zeros(kShape.batch * given.width());
  EXPECT_EQ(FirstDifference(result.din.h, zeros), -1);
  EXPECT_EQ(FirstDifference(result.din.c, zeros), -1);
  EXPECT_EQ(FirstDifference(result.din.n, zeros), -1);
}

// A unit whose n is zero has no past; its neighbours may have one.
TEST(SlstmTest, TheTestForAnEmptyStateIsPerElement) {
  SlstmCase<double> given(kShape);
  given.GiveState();
  given.in.n[7] = given.in.c[7] = 0;
  const std::vector<double> expected = Definition(given);
  const SlstmResult<double> result = RunSlstm(given);
  for (size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(result.h[i], expected[i], 1e-12);
}

// A number that is no number must reach the check that stops the job.
TEST(SlstmTest, NotANumberIsPassedOn) {
  for (const Isa isa : Paths()) {
    for (int64_t gate = 0; gate < 4; ++gate) {
      SlstmCase<float> given(kShape);
      given.x[gate * given.width()] = std::nanf("");
      EXPECT_TRUE(std::isnan(RunSlstm(given, 1, isa).h[0])) << NameOf(isa) << ", gate " << gate;
    }
  }
}

}  // namespace
}  // namespace carousel::kernels
