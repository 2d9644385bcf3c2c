#include "kernels/embedding.h"

#include "tests/kernels/pointwise_case.h"

namespace carousel::kernels {
namespace {

constexpr int64_t kRows = 50, kWidth = 83, kVocab = 7;

std::vector<int32_t> Tokens() {
  std::vector<int32_t> tokens;
  for (int64_t row = 0; row < kRows; ++row) tokens.push_back(row * row % kVocab);
  return tokens;
}

TEST(EmbeddingTest, ForwardTakesRowsOfTheTable) {
  std::vector<int32_t> tokens = Tokens();
  std::vector<float> table = Values<float>(kVocab * kWidth, 1);
  const std::vector<float> y = SameBitsEverywhere<float>([&](Isa isa, Context& context) {
    std::vector<float> out(kRows * kWidth);
    RunOn(isa, context,
          EmbeddingForward{SpanOf(tokens), SpanOf(table), SpanOf(out), kRows, kWidth});
    return out;
  });
  for (int64_t row = 0; row < kRows; ++row) {
    for (int64_t i = 0; i < kWidth; ++i) {
      ASSERT_EQ(y[row * kWidth + i], table[tokens[row] * kWidth + i]);
    }
  }
}

TEST(EmbeddingTest, GradientOfARowIsOneChainFromTheLastUseToTheFirst) {
  std::vector<int32_t> tokens = Tokens();
  std::vector<float> dy = Values<float>(kRows * kWidth, 1);
  const std::vector<float> start = Values<float>(kVocab * kWidth, 2);
  std::vector<float> expected = start;
  for (int64_t row = kRows - 1; row >= 0; --row) {
    for (int64_t i = 0; i < kWidth; ++i) {
      expected[tokens[row] * kWidth + i] += dy[row * kWidth + i];
    }
  }
  const std::vector<float> dtable = SameBitsEverywhere<float>([&](Isa isa, Context& context) {
    std::vector<float> out = start;
    RunOn(isa, context,
          EmbeddingBackwardWeight{SpanOf(tokens), SpanOf(dy), SpanOf(out), kRows, kWidth});
    return out;
  });
  EXPECT_EQ(FirstDifference(dtable, expected), -1);
}

TEST(EmbeddingDeathTest, ATokenBeyondTheTableIsOurOwnMistake) {
  std::vector<int32_t> tokens = {kVocab};
  std::vector<float> table(kVocab * kWidth), y(kWidth);
  EXPECT_DEATH(
      {
        Context context(1);
        RunOn(Isa::kAvx2, context,
              EmbeddingForward{SpanOf(tokens), SpanOf(table), SpanOf(y), 1, kWidth});
      },
      "broken precondition");
  std::vector<float> dtable = table;
  EXPECT_DEATH(
      {
        Context context(1);
        RunOn(Isa::kAvx2, context,
              EmbeddingBackwardWeight{SpanOf(tokens), SpanOf(y), SpanOf(dtable), 1, kWidth});
      },
      "broken precondition");
}

}  // namespace
}  // namespace carousel::kernels
