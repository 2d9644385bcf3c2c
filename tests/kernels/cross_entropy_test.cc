#include "kernels/cross_entropy.h"

#include "tests/kernels/pointwise_case.h"

namespace carousel::kernels {
namespace {

template <class T>
struct LossCase {
  LossCase(int64_t rows, int64_t vocab, double cap, double spread)
      : rows(rows), vocab(vocab), cap(cap) {
    logits = Values<T>(rows * vocab, 1);
    for (T& logit : logits) logit = static_cast<T>(logit * spread);
    for (int64_t row = 0; row < rows; ++row) {
      labels.push_back(row % 4 == 3 ? -1 : static_cast<int32_t>(row * 7919 % vocab));
    }
    loss.resize(rows);
    stats.resize(2 * rows);
    dlogits.resize(rows * vocab);
  }

  void Forward(Isa isa, Context& context) {
    RunOn(isa, context,
          CrossEntropyForward{SpanOf(logits), SpanOf(labels), SpanOf(loss), SpanOf(stats), rows,
                              vocab, cap});
  }
  void Backward(Isa isa, Context& context) {
    RunOn(isa, context,
          CrossEntropyBackward{SpanOf(logits), SpanOf(labels), SpanOf(stats), SpanOf(dlogits), rows,
                               vocab, cap});
  }
  double Total() const {
    double total = 0;
    for (const T of_row : loss) total += of_row;
    return total;
  }

  int64_t rows, vocab;
  double cap;
  std::vector<T> logits, loss, stats, dlogits;
  std::vector<int32_t> labels;
};

// Vocabularies below, at, and beyond blocks of 512, with tails; with the cap and without.
struct Size {
  int64_t vocab;
  double cap, spread;
};
const Size kSizes[] = {{1, 0, 3},    {97, 30, 50},   {512, 0, 9},    {513, 30, 200},
                       {1061, 0, 9}, {2048, 30, 40}, {1500, 0, 3000}};

template <class T>
std::vector<double> ReferenceLoss(const LossCase<T>& c) {
  std::vector<double> loss;
  for (int64_t row = 0; row < c.rows; ++row) {
    const auto z = [&](int64_t j) {
      const long double logit = c.logits[row * c.vocab + j];
      return c.cap > 0 ? c.cap * std::tanh(logit / c.cap) : logit;
    };
    long double largest = z(0), sum = 0;
    for (int64_t j = 1; j < c.vocab; ++j) largest = std::max(largest, z(j));
    for (int64_t j = 0; j < c.vocab; ++j) sum += std::exp(z(j) - largest);
    loss.push_back(
        c.labels[row] < 0 ? 0 : static_cast<double>(std::log(sum) + largest - z(c.labels[row])));
  }
  return loss;
}

TEST(CrossEntropyTest, LossAgreesWithLongDouble) {
  for (const Size& size : kSizes) {
    Context context(1);
    LossCase<float> in_float(9, size.vocab, size.cap, size.spread);
    in_float.Forward(Isa::kAvx2, context);
    ExpectClose(in_float.loss, ReferenceLoss(in_float), 1e-6, "float");
    LossCase<double> in_double(9, size.vocab, size.cap, size.spread);
    in_double.Forward(Isa::kAvx2, context);
    ExpectClose(in_double.loss, ReferenceLoss(in_double), 1e-14, "double");
  }
}

TEST(CrossEntropyTest, BackwardAgreesWithDifferences) {
  for (const double cap : {0.0, 5.0}) {
    Context context(1);
    LossCase<double> c(6, 531, cap, 8);
    c.Forward(Isa::kAvx2, context);
    c.Backward(Isa::kAvx2, context);
    const std::vector<double> expected = Differences(c.logits, [&] {
      c.Forward(Isa::kAvx2, context);
      return c.Total();
    });
    ExpectClose(c.dlogits, expected, 1e-9, "dlogits");
  }
}

TEST(CrossEntropyTest, IgnoredRowsHaveNoLossAndNoGradient) {
  Context context(1);
  LossCase<float> c(8, 600, 30, 20);
  for (int64_t j = 0; j < c.vocab; ++j) c.logits[3 * c.vocab + j] = NAN;  // row 3 is ignored
  c.dlogits = Values<float>(c.dlogits.size(), 5);
  c.Forward(Isa::kAvx2, context);
  c.Backward(Isa::kAvx2, context);
  EXPECT_EQ(c.loss[3], 0);
  EXPECT_EQ(c.loss[7], 0);
  for (int64_t j = 0; j < c.vocab; ++j) EXPECT_EQ(c.dlogits[3 * c.vocab + j], 0);
}

TEST(CrossEntropyTest, ExtremeLogitsStayFiniteAndExact) {
  Context context(1);
  LossCase<float> c(3, 1030, 0, 1);
  for (float& logit : c.logits) logit = -1e30f;
  c.labels = {5, 1029, 7};
  c.logits[0 * c.vocab + 5] = 3e38f;  // certain and right
  c.logits[1 * c.vocab + 0] = 100;    // certain and wrong, in another block
  c.logits[2 * c.vocab + 7] = c.logits[2 * c.vocab + 900] = 3e38f;  // a tie across blocks
  c.Forward(Isa::kAvx2, context);
  c.Backward(Isa::kAvx2, context);
  EXPECT_EQ(c.loss[0], 0);
  EXPECT_EQ(c.loss[1], 1e30f);
  EXPECT_FLOAT_EQ(c.loss[2], std::log(2.0f));
  EXPECT_EQ(c.dlogits[0 * c.vocab + 5], 0);
  EXPECT_EQ(c.dlogits[1 * c.vocab + 0], 1);
  EXPECT_EQ(c.dlogits[1 * c.vocab + 1029], -1);
  EXPECT_EQ(c.dlogits[2 * c.vocab + 900], 0.5f);
}

TEST(CrossEntropyTest, ALogitThatIsNotANumberMakesItsRowsLossNone) {
  for (const Isa isa : Paths()) {
    for (const int64_t at : {0, 3, 511, 512, 700}) {
      Context context(1);
      LossCase<float> c(2, 701, 0, 1);
      c.logits[at] = NAN;
      c.Forward(isa, context);
      EXPECT_TRUE(std::isnan(c.loss[0])) << at;
      EXPECT_FALSE(std::isnan(c.loss[1])) << at;
    }
  }
}

TEST(CrossEntropyTest, BitsAreTheSameOnEveryPathAndNumberOfThreadsAndInPlace) {
  const auto check = [](auto zero) {
    using T = decltype(zero);
    for (const Size& size : kSizes) {
      const std::vector<T> apart = SameBitsEverywhere<T>([&](Isa isa, Context& context) {
        LossCase<T> c(37, size.vocab, size.cap, size.spread);
        c.Forward(isa, context);
        c.Backward(isa, context);
        return Joined<T>({c.loss, c.stats, c.dlogits});
      });
      const std::vector<T> in_place = SameBitsEverywhere<T>([&](Isa isa, Context& context) {
        LossCase<T> c(37, size.vocab, size.cap, size.spread);
        c.Forward(isa, context);
        RunOn(isa, context,
              CrossEntropyBackward{SpanOf(c.logits), SpanOf(c.labels), SpanOf(c.stats),
                                   SpanOf(c.logits), c.rows, c.vocab, c.cap});
        return Joined<T>({c.loss, c.stats, c.logits});
      });
      EXPECT_EQ(FirstDifference(in_place, apart), -1) << size.vocab;
    }
  };
  check(float{});
  check(double{});
}

TEST(CrossEntropyDeathTest, ALabelBeyondTheVocabularyIsOurOwnMistake) {
  Context context(1);
  LossCase<float> c(2, 9, 0, 1);
  c.labels[1] = 9;
  EXPECT_DEATH(c.Forward(Isa::kAvx2, context), "broken precondition");
  EXPECT_DEATH(c.Backward(Isa::kAvx2, context), "broken precondition");
}

}  // namespace
}  // namespace carousel::kernels
