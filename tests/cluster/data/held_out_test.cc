#include "cluster/data/held_out.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace carousel {
namespace {

// What the rule says, token by token.
bool IsHeldOut(const HeldOutRule& rule, int64_t position) {
  if (rule.every == 0) return false;
  const int64_t block = position / rule.block_tokens;
  return block >= rule.first && (block - rule.first) % rule.every == 0;
}

TEST(HeldOutTest, EveryTokenIsOnExactlyOneSideAndInOrder) {
  for (int64_t every : {0, 2, 3, 5}) {
    for (int64_t first = 0; first < std::max<int64_t>(every, 1); ++first) {
      for (int64_t tokens = 0; tokens <= 64; ++tokens) {
        const HeldOutRule rule{4, every, first};
        for (CorpusSide side : {CorpusSide::kTraining, CorpusSide::kHeldOut}) {
          SCOPED_TRACE(std::to_string(every) + " " + std::to_string(first) + " " +
                       std::to_string(tokens));
          std::vector<int64_t> expected;
          for (int64_t p = 0; p < tokens; ++p) {
            if (IsHeldOut(rule, p) == (side == CorpusSide::kHeldOut)) expected.push_back(p);
          }

          const HeldOutSplit split(rule, tokens, side);

          ASSERT_EQ(split.token_count(), static_cast<int64_t>(expected.size()));
          int64_t runs = 0;
          for (int64_t i = 0; i < split.token_count(); ++i) {
            const TokenRun run = split.RunAt(i);
            ASSERT_EQ(run.position, expected[i]);
            const bool begins = i == 0 || expected[i] != expected[i - 1] + 1;
            ASSERT_EQ(run.begins_run, begins);
            runs += begins;
            for (int64_t k = 0; k < run.length; ++k) {
              ASSERT_LT(i + k, split.token_count());
              ASSERT_EQ(expected[i + k], run.position + k);
            }
            const int64_t next = i + run.length;  // the run is as long as it can be
            ASSERT_TRUE(next == split.token_count() || expected[next] != expected[next - 1] + 1);
          }
          ASSERT_EQ(split.run_count(), runs);
        }
      }
    }
  }
}

TEST(HeldOutTest, ALongCorpusGivesBlockSevenAndEveryFiftiethAfterIt) {
  EXPECT_EQ(ChooseHeldOut(int64_t{1} << 30, 65536, 50), (HeldOutRule{65536, 50, 7}));
}

TEST(HeldOutTest, AWarningIsGivenOnlyWhereItsRemedyHelps) {
  for (int64_t tokens = 1; tokens < 300; ++tokens) {
    const std::string warning = HeldOutWarning(ChooseHeldOut(tokens, 100, 50), tokens);
    EXPECT_EQ(warning.empty(), tokens >= 200) << warning;
    const size_t block = warning.find("--held-out-block ");
    EXPECT_EQ(block == std::string::npos, tokens >= 200 || tokens < 4) << warning;
    if (block == std::string::npos) continue;
    const int64_t remedy = std::stoll(warning.substr(block + 17));
    ASSERT_TRUE(CheckHeldOutWish(remedy, 50).ok());
    EXPECT_EQ(HeldOutWarning(ChooseHeldOut(tokens, remedy, 50), tokens), "");
  }
  EXPECT_EQ(HeldOutWarning({100, 0, 0}, 200), "") << "so it was asked for";
}

TEST(HeldOutTest, AShortCorpusGivesItsLastWholeBlock) {
  EXPECT_EQ(ChooseHeldOut(5 * 100 + 99, 100, 50).first, 4);
  EXPECT_EQ(ChooseHeldOut(2 * 100, 100, 50).first, 1);
}

TEST(HeldOutTest, ACorpusOfLessThanTwoBlocksGivesNothing) {
  EXPECT_EQ(ChooseHeldOut(199, 100, 50).every, 0);
  EXPECT_EQ(ChooseHeldOut(1, 100, 50).every, 0);
}

TEST(HeldOutTest, ATightRuleStaysWithinItsPeriod) {
  EXPECT_EQ(ChooseHeldOut(10000, 100, 3), (HeldOutRule{100, 3, 2}));
}

TEST(HeldOutTest, ZeroHoldsNothingOut) { EXPECT_EQ(ChooseHeldOut(10000, 100, 0).every, 0); }

}  // namespace
}  // namespace carousel
