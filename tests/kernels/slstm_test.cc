#include <cmath>
#include <string>

#include "gtest/gtest.h"
#include "tests/kernels/document_rows.h"
#include "tests/kernels/slstm_case.h"

namespace carousel::kernels {
namespace {

// Neither is a multiple of a vector or a tile.
constexpr SlstmShape kShape = {.steps = 12, .batch = 3, .heads = 2, .head_dim = 19};

double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

struct Outcome {
  std::vector<double> h;  // of every row
  SlstmStateValues<double> last;
};

// By the formulas of the paper.
Outcome Definition(const SlstmCase<double>& given) {
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
  return {h_all, {h, c, n, m}};
}

void ExpectNear(const std::vector<double>& actual, const std::vector<double>& expected,
                double tolerance, const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_NEAR(actual[i], expected[i], tolerance) << what << " at " << i;
  }
}

TEST(SlstmTest, ForwardIsTheDefinition) {
  for (const bool with_state : {false, true}) {
    SlstmCase<double> given(kShape);
    if (with_state) given.GiveState();
    given.reset[4] = given.reset[17] = 1;
    const Outcome expected = Definition(given);
    for (const Isa isa : Paths()) {
      const SlstmResult<double> result = RunSlstm(given, 1, isa);
      const std::string path = NameOf(isa);
      ExpectNear(result.h, expected.h, 1e-12, path + " h");
      ExpectNear(result.out.h, expected.last.h, 1e-12, path + " last h");
      ExpectNear(result.out.c, expected.last.c, 1e-12, path + " last c");
      ExpectNear(result.out.n, expected.last.n, 1e-12, path + " last n");
      ExpectNear(result.out.m, expected.last.m, 1e-12, path + " last m");
    }
  }
}

// Large gates of both signs: the exponentials would overflow without the stabiliser.
TEST(SlstmTest, ForwardIsTheDefinitionWithExtremeGates) {
  SlstmCase<double> given(kShape);
  for (double& x : given.x) x *= 20;
  ExpectNear(RunSlstm(given).h, Definition(given).h, 1e-10, "h");
}

TEST(SlstmTest, BitsDoNotDependOnPathThreadsOrSegments) {
  for (const SlstmShape& shape : {kShape, SlstmShape{4, 8, 4, 32}, SlstmShape{4, 30, 1, 16}}) {
    SlstmCase<float> given(shape);
    given.GiveState();
    given.WeighLastState();
    given.reset[shape.batch + 1] = given.reset[3 * shape.batch] = 1;
    const SlstmResult<float> expected = RunSlstm(given, 1, Isa::kScalar);
    for (const Isa isa : Paths()) {
      for (int threads = 1; threads <= 3; ++threads) {
        for (const int64_t segments : {1, 2, 4}) {
          const SlstmResult<float> result = RunSlstm(given, segments, isa, threads);
          EXPECT_TRUE(SameBits(result, expected))
              << NameOf(isa) << ", " << threads << " threads, " << segments << " segments";
        }
      }
    }
  }
}

// What the backward operations differentiate:
//   sum of dy h + sum of dout.h h + dout.c c e^(m - m0) + dout.n n e^(m - m0), the latter of the
//   last state.
// c e^m and n e^m do not depend on the stabiliser m, which backward holds constant; m0 is m where
// the gradient is taken.
class Functional {
 public:
  explicit Functional(const SlstmCase<double>& given)
      : given_(given), m0_(Definition(given).last.m) {}

  // Central differences of some elements of `values`, a tensor of the case.
  void ExpectGradient(std::vector<double>& values, const std::vector<double>& gradient,
                      const char* name) const {
    constexpr double kStep = 1e-5;
    ASSERT_EQ(values.size(), gradient.size()) << name;
    const size_t stride = values.size() / 60 + 1;
    for (size_t i = 0; i < values.size(); i += stride) {
      const double value = values[i];
      values[i] = value + kStep;
      const double above = Value();
      values[i] = value - kStep;
      const double below = Value();
      values[i] = value;
      const double expected = (above - below) / (2 * kStep);
      EXPECT_NEAR(gradient[i], expected, 1e-8 * (1 + std::abs(expected))) << name << " at " << i;
    }
  }

 private:
  double Value() const {
    const auto [h, last] = Definition(given_);
    double sum = 0;
    for (size_t i = 0; i < h.size(); ++i) sum += given_.dy[i] * h[i];
    for (size_t i = 0; i < given_.dout.h.size(); ++i) {
      const double unscaled = std::exp(last.m[i] - m0_[i]);
      sum += given_.dout.h[i] * last.h[i] + given_.dout.c[i] * last.c[i] * unscaled +
             given_.dout.n[i] * last.n[i] * unscaled;
    }
    return sum;
  }

  const SlstmCase<double>& given_;
  const std::vector<double> m0_;
};

TEST(SlstmTest, GradientsAreThoseOfFiniteDifferencesAcrossSegmentsAndResets) {
  for (const int64_t segments : {1, 3}) {
    SlstmCase<double> given(kShape);
    given.GiveState();
    given.WeighLastState();
    given.reset[4] = given.reset[17] = given.reset[24] = 1;  // row 24 begins a segment
    const Functional functional(given);
    const SlstmResult<double> result = RunSlstm(given, segments);
    functional.ExpectGradient(given.x, result.draw, "x");
    functional.ExpectGradient(given.r, result.dr, "R");
    functional.ExpectGradient(given.b, result.db, "b");
    functional.ExpectGradient(given.in.h, result.din.h, "h");
    functional.ExpectGradient(given.in.c, result.din.c, "c");
    functional.ExpectGradient(given.in.n, result.din.n, "n");
  }
}

TEST(SlstmTest, GradientsFromZerosAreThoseOfFiniteDifferences) {
  SlstmCase<double> given(kShape);
  const Functional functional(given);
  const SlstmResult<double> result = RunSlstm(given, 2);
  functional.ExpectGradient(given.x, result.draw, "x");
  functional.ExpectGradient(given.r, result.dr, "R");
}

TEST(SlstmTest, ADocumentHasTheBitsOfADocumentAloneWhereverItStarts) {
  for (const Isa isa : Paths()) {
    for (const int64_t first : {0, 3, 4, 7}) {  // 3 and 4: around the border of segments
      // Given a window with a document in the middle of others,
      const DocumentRows document = {kShape.batch, 1, first, 5};
      SlstmCase<float> window(kShape);
      window.GiveState();
      const int64_t end = first + document.count;
      window.reset[first * kShape.batch + document.sequence] = 1;
      if (end < kShape.steps) window.reset[end * kShape.batch + document.sequence] = 1;
      // and the document by itself,
      const int64_t width = window.width();
      SlstmCase<float> alone(SlstmShape{document.count, 1, kShape.heads, kShape.head_dim});
      alone.x = document.Of(window.x, 4 * width);
      alone.dy = document.Of(window.dy, width);
      // when both are run,
      const SlstmResult<float> in_window = RunSlstm(window, 3, isa, 2);
      const SlstmResult<float> by_itself = RunSlstm(alone, 1, isa);
      // then outputs and input gradients have equal bits.
      EXPECT_TRUE(SameBits(document.Of(in_window.h, width), by_itself.h))
          << NameOf(isa) << " from " << first;
      EXPECT_TRUE(SameBits(document.Of(in_window.draw, 4 * width), by_itself.draw))
          << NameOf(isa) << " from " << first;
    }
  }
}

TEST(SlstmTest, NothingDependsOnAnotherDocumentsValues) {
  // Given a document with neighbours on both sides, across a border of segments,
  const DocumentRows document = {kShape.batch, 1, 3, 6};
  SlstmCase<float> clean(kShape);
  clean.GiveState();
  clean.WeighLastState();
  for (const int64_t border : {3, 9}) clean.reset[border * kShape.batch + 1] = 1;
  const int64_t width = clean.width();
  const SlstmResult<float> expected = RunSlstm(clean, 3, Isa::kScalar);
  for (const float garbage : {1e30f, std::nanf("")}) {
    // when all else, and the states of the window's ends, hold garbage,
    SlstmCase<float> poisoned = clean;
    document.PoisonOthers(poisoned.x, 4 * width, garbage);
    document.PoisonOthers(poisoned.dy, width, garbage);
    for (auto* state : {&poisoned.in, &poisoned.dout}) {
      for (auto* part : {&state->h, &state->c, &state->n, &state->m})
        part->assign(part->size(), garbage);
    }
    // then every bit of the document is what it was.
    for (const Isa isa : Paths()) {
      for (const int64_t segments : {1, 3}) {
        const SlstmResult<float> result = RunSlstm(poisoned, segments, isa, 2);
        EXPECT_TRUE(SameBits(document.Of(result.h, width), document.Of(expected.h, width)))
            << NameOf(isa) << ", " << garbage;
        EXPECT_TRUE(
            SameBits(document.Of(result.draw, 4 * width), document.Of(expected.draw, 4 * width)))
            << NameOf(isa) << ", " << garbage;
      }
    }
  }
}

TEST(SlstmTest, NothingFlowsBackAcrossAReset) {
  SlstmCase<float> given(kShape);
  given.GiveState();
  given.WeighLastState();
  for (int64_t b = 0; b < kShape.batch; ++b) given.reset[b] = 1;
  const SlstmResult<float> result = RunSlstm(given);
  const std::vector<float> zeros(kShape.batch * given.width());
  EXPECT_TRUE(SameBits(result.din.h, zeros));
  EXPECT_TRUE(SameBits(result.din.c, zeros));
  EXPECT_TRUE(SameBits(result.din.n, zeros));
}

// A unit whose n is zero has no past; its neighbours may have one.
TEST(SlstmTest, TheTestForAnEmptyStateIsPerElement) {
  SlstmCase<double> given(kShape);
  given.GiveState();
  given.in.n[7] = given.in.c[7] = 0;
  ExpectNear(RunSlstm(given).h, Definition(given).h, 1e-12, "h");
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
