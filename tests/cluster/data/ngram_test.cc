#include "cluster/data/ngram.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/cluster/data/memory_source.h"
#include "tests/cluster/data/scratch.h"

namespace carousel {
namespace {

using Tokens = std::vector<int32_t>;

constexpr HeldOutRule kAll{1, 0, 0};

CorpusPart WholeOf(const MemorySource& source) {
  return CorpusPart(&source, kAll, CorpusSide::kTraining);
}

// Counted by hand: training text "abab", held-out text "aba".
TEST(NgramTest, FollowsTheFormula) {
  const MemorySource training({Tokens{'a', 'b', 'a', 'b'}});
  const MemorySource held_out({Tokens{'a', 'b', 'a'}});

  const auto result = MeasureNgramBaselines(WholeOf(training), WholeOf(held_out), {});

  ASSERT_TRUE(result.ok()) << result.status();
  // Unigram: c(a) = c(b) = 2 of 4, T = 2, uniform 1/257.
  const double uni = (2 + 2.0 / 257) / (4 + 2);
  // b | a: seen 2 of 2, T = 1. a | b: 1 of 1, T = 1.
  const double b_after_a = (2 + uni) / (2 + 1);
  const double a_after_b = (1 + uni) / (1 + 1);
  // a | ab: seen once of once (the second "ab" ends the text), T = 1.
  const double a_after_ab = (1 + a_after_b) / (1 + 1);
  EXPECT_NEAR(result->unigram_bits_per_byte, -std::log2(uni), 1e-12);
  EXPECT_NEAR(result->bigram_bits_per_byte, -(std::log2(b_after_a) + std::log2(a_after_b)) / 2,
              1e-12);
  EXPECT_NEAR(result->trigram_bits_per_byte, -(std::log2(b_after_a) + std::log2(a_after_ab)) / 2,
              1e-12);
  EXPECT_EQ(result->predicted, 2);
  EXPECT_EQ(result->predicted_bytes, 2);
}

TEST(NgramTest, AContextNeverSeenFallsBackToTheShorterOne) {
  const MemorySource training({Tokens{'a', 'b'}});
  const MemorySource held_out({Tokens{'x', 'a'}});

  const auto result = MeasureNgramBaselines(WholeOf(training), WholeOf(held_out), {});

  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->bigram_bits_per_byte, result->unigram_bits_per_byte);
  EXPECT_EQ(result->trigram_bits_per_byte, result->unigram_bits_per_byte);
}

TEST(NgramTest, ASeparatorCostsBitsButIsNoByte) {
  const MemorySource training({Tokens{'a', 'b', 256}});
  const MemorySource with({Tokens{'a', 'b', 256}});
  const MemorySource without({Tokens{'a', 'b'}});

  const auto costly = MeasureNgramBaselines(WholeOf(training), WholeOf(with), {});
  const auto cheap = MeasureNgramBaselines(WholeOf(training), WholeOf(without), {});

  EXPECT_EQ(costly->predicted, 2);
  EXPECT_EQ(costly->predicted_bytes, 1);
  EXPECT_NEAR(costly->unigram_bits_per_byte, 2 * cheap->unigram_bits_per_byte, 1e-12);
}

TEST(NgramTest, NoContextReachesAcrossADocument) {
  const MemorySource training({{'a', 'b', 256}, {'c', 'd', 256}});
  const MemorySource one({{'a', 'b', 256}, {'c', 'd', 256}});
  const MemorySource turned({{'c', 'd', 256}, {'a', 'b', 256}});

  const auto first = MeasureNgramBaselines(WholeOf(training), WholeOf(one), {});
  const auto second = MeasureNgramBaselines(WholeOf(training), WholeOf(turned), {});

  EXPECT_EQ(first->predicted, 4);  // not the first token of either
  EXPECT_NEAR(first->trigram_bits_per_byte, second->trigram_bits_per_byte, 1e-12);
}

TEST(NgramTest, NothingToMeasureIsAnError) {
  const MemorySource source({Tokens{'a'}});
  ExpectError(MeasureNgramBaselines(WholeOf(source), WholeOf(source), {}).status(),
              absl::StatusCode::kFailedPrecondition, {"baselines", "held out"});
}

TEST(NgramTest, CanBeStopped) {
  const MemorySource source({Tokens{'a', 'b'}});
  ExpectError(MeasureNgramBaselines(WholeOf(source), WholeOf(source), [](int64_t) { return false; })
                  .status(),
              absl::StatusCode::kCancelled, {"stopped"});
}

}  // namespace
}  // namespace carousel
