#include "cluster/data/token_windows.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tests/cluster/data/memory_source.h"

namespace carousel {
namespace {

constexpr HeldOutRule kNothingHeldOut{1, 0, 0};

CorpusPart WholeOf(const MemorySource& source) {
  return CorpusPart(&source, kNothingHeldOut, CorpusSide::kTraining);
}

MicroBatch ReadWindow(const TokenWindows& windows, int64_t window) {
  MicroBatch batch;
  batch.sequence_length = windows.sequence_length();
  batch.sequences = 1;
  batch.tokens.resize(batch.sequence_length);
  batch.labels.resize(batch.sequence_length);
  batch.resets.resize(batch.sequence_length);
  EXPECT_TRUE(windows.Read(window, 0, &batch).ok());
  return batch;
}

TEST(TokenWindowsTest, NeighboursShareOneToken) {
  const MemorySource source({CountUp(10, 7)});
  const TokenWindows windows(WholeOf(source), 3, true);

  ASSERT_EQ(windows.count(), 2);
  const MicroBatch first = ReadWindow(windows, 0);
  EXPECT_EQ(first.tokens, (std::vector<int32_t>{10, 11, 12}));
  EXPECT_EQ(first.labels, (std::vector<int32_t>{11, 12, 13}));
  const MicroBatch second = ReadWindow(windows, 1);
  EXPECT_EQ(second.tokens, (std::vector<int32_t>{13, 14, 15}));
  EXPECT_EQ(second.labels, (std::vector<int32_t>{14, 15, 16}));
}

TEST(TokenWindowsTest, TheLastWindowIsPaddedWithIgnoredLabels) {
  const MemorySource source({CountUp(10, 6)});
  const TokenWindows windows(WholeOf(source), 4, true);

  ASSERT_EQ(windows.count(), 2);
  const MicroBatch last = ReadWindow(windows, 1);

  EXPECT_EQ(last.tokens, (std::vector<int32_t>{14, 15, 0, 0}));
  EXPECT_EQ(last.labels, (std::vector<int32_t>{15, -1, -1, -1}));
  EXPECT_EQ(last.resets, (std::vector<uint8_t>{1, 0, 0, 0}));
  EXPECT_EQ(last.predicted, 1);
}

TEST(TokenWindowsTest, NoRowSeesAcrossADocumentBorder) {
  const MemorySource source({{1, 2, 256}, {3, 256}, {4, 256}});
  const TokenWindows windows(WholeOf(source), 6, true);

  const MicroBatch batch = ReadWindow(windows, 0);

  EXPECT_EQ(batch.tokens, (std::vector<int32_t>{1, 2, 256, 3, 256, 4}));
  EXPECT_EQ(batch.labels, (std::vector<int32_t>{2, 256, -1, 256, -1, 256}));
  EXPECT_EQ(batch.resets, (std::vector<uint8_t>{1, 0, 0, 1, 0, 1}));
  EXPECT_EQ(batch.predicted, 4);
  EXPECT_EQ(batch.predicted_bytes, 1);  // the 2; the separators are no text
}

TEST(TokenWindowsTest, WithoutResetsOnlyRowZeroStartsFreshAndAllIsPredicted) {
  const MemorySource source({{1, 2, 256}, {3, 256}, {4, 256}});
  const TokenWindows windows(WholeOf(source), 6, false);

  const MicroBatch batch = ReadWindow(windows, 0);

  EXPECT_EQ(batch.labels, (std::vector<int32_t>{2, 256, 3, 256, 4, 256}));
  EXPECT_EQ(batch.resets, (std::vector<uint8_t>{1, 0, 0, 0, 0, 0}));
  EXPECT_EQ(batch.predicted, 6);
}

TEST(TokenWindowsTest, ABorderAtAWindowsEndIsSeenByTheLabelOnly) {
  const MemorySource source({{1, 2, 256}, {3, 4, 5, 256}});
  const TokenWindows windows(WholeOf(source), 3, true);

  EXPECT_EQ(ReadWindow(windows, 0).labels, (std::vector<int32_t>{2, 256, -1}));
  EXPECT_EQ(ReadWindow(windows, 1).tokens, (std::vector<int32_t>{3, 4, 5}));
  EXPECT_EQ(ReadWindow(windows, 1).labels, (std::vector<int32_t>{4, 5, 256}));
}

TEST(TokenWindowsTest, AHeldOutHoleIsADocumentBorder) {
  const MemorySource source({CountUp(0, 12)});
  const HeldOutRule rule{4, 3, 1};  // tokens 4 to 7

  const TokenWindows training(CorpusPart(&source, rule, CorpusSide::kTraining), 7, true);
  ASSERT_EQ(training.count(), 1);
  const MicroBatch batch = ReadWindow(training, 0);
  EXPECT_EQ(batch.tokens, (std::vector<int32_t>{0, 1, 2, 3, 8, 9, 10}));
  EXPECT_EQ(batch.labels, (std::vector<int32_t>{1, 2, 3, -1, 9, 10, 11}));
  EXPECT_EQ(batch.resets, (std::vector<uint8_t>{1, 0, 0, 0, 1, 0, 0}));

  const TokenWindows held_out(CorpusPart(&source, rule, CorpusSide::kHeldOut), 3, true);
  ASSERT_EQ(held_out.count(), 1);
  EXPECT_EQ(ReadWindow(held_out, 0).tokens, (std::vector<int32_t>{4, 5, 6}));
  EXPECT_EQ(ReadWindow(held_out, 0).labels, (std::vector<int32_t>{5, 6, 7}));
}

TEST(TokenWindowsTest, APartWithNothingToPredictHasNoWindows) {
  const MemorySource source({CountUp(5, 1)});
  EXPECT_EQ(TokenWindows(WholeOf(source), 4, true).count(), 0);
  EXPECT_EQ(
      TokenWindows(CorpusPart(&source, kNothingHeldOut, CorpusSide::kHeldOut), 4, true).count(), 0);
}

// The claim that the loss of a data epoch rests on. Tokens carry their own position, so a label
// says which token of the stream it is.
TEST(TokenWindowsTest, EveryTokenButTheFirstIsPredictedExactlyOnce) {
  for (int64_t tokens = 2; tokens <= 40; ++tokens) {
    const MemorySource source({CountUp(0, tokens)});
    for (int64_t length = 1; length <= tokens + 2; ++length) {
      const TokenWindows windows(WholeOf(source), length, true);
      std::vector<int> predicted(static_cast<size_t>(tokens));

      for (int64_t window = 0; window < windows.count(); ++window) {
        const MicroBatch batch = ReadWindow(windows, window);
        for (int64_t t = 0; t < length; ++t) {
          if (batch.labels[t] == kIgnoredLabel) continue;
          ++predicted[batch.labels[t]];
          ASSERT_EQ(batch.tokens[t], batch.labels[t] - 1);  // from the token before it
        }
      }

      std::vector<int> expected(static_cast<size_t>(tokens), 1);
      expected[0] = 0;
      ASSERT_EQ(predicted, expected) << tokens << " tokens, sequences of " << length;
    }
  }
}

// With documents and holes: all but the first of each.
TEST(TokenWindowsTest, EveryTokenButTheFirstOfEachDocumentIsPredictedExactlyOnce) {
  const MemorySource source({CountUp(0, 5), CountUp(5, 1), CountUp(6, 13), CountUp(19, 11)});
  const HeldOutRule rule{4, 3, 1};
  std::vector<int> expected(30, 1);
  for (int first_of_document : {0, 5, 6, 19}) expected[first_of_document] = 0;
  for (int after_a_cut : {4, 8, 16, 20, 28}) expected[after_a_cut] = 0;

  for (int64_t length = 1; length <= 31; ++length) {
    std::vector<int> predicted(30);
    for (CorpusSide side : {CorpusSide::kTraining, CorpusSide::kHeldOut}) {
      const TokenWindows windows(CorpusPart(&source, rule, side), length, true);
      for (int64_t window = 0; window < windows.count(); ++window) {
        for (int32_t label : ReadWindow(windows, window).labels) {
          if (label != kIgnoredLabel) ++predicted[label];
        }
      }
    }
    ASSERT_EQ(predicted, expected) << "sequences of " << length;
  }
}

}  // namespace
}  // namespace carousel
