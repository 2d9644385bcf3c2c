#include "cluster/cursor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace carousel {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const CursorTerms kTerms = {
    .batch_size = 16, .windows = 100, .shuffle_seed = 7, .dataset_digest = "d"};

TEST(Cursor, StartsAtTheFirstSequence) {
  Cursor cursor = CursorAt(kTerms, 0);
  EXPECT_EQ(cursor.sequences(), 0);
  EXPECT_EQ(cursor.data_epoch(), 0);
  EXPECT_EQ(cursor.position(), 0);
}

TEST(Cursor, AStepMayCrossIntoTheNextDataEpoch) {
  EXPECT_EQ(CursorAt(kTerms, 6).position(), 96);
  EXPECT_EQ(CursorAt(kTerms, 7).data_epoch(), 1);
  EXPECT_EQ(CursorAt(kTerms, 7).position(), 12);
}

TEST(Cursor, StepsReadEverySequenceOfADataEpochOnce) {
  std::multiset<int64_t> read;
  for (int64_t step = 0; step < 7; ++step) {
    const int64_t first = CursorAt(kTerms, step).sequences();
    for (int64_t i = first; i < CursorAt(kTerms, step + 1).sequences(); ++i) {
      if (i < kTerms.windows) read.insert(i);
    }
  }
  EXPECT_EQ(read.size(), 100);
  EXPECT_EQ(std::set<int64_t>(read.begin(), read.end()).size(), 100);
}

TEST(Cursor, AStoredCursorThatFitsIsAccepted) {
  EXPECT_TRUE(CheckCursor(CursorAt(kTerms, 9), kTerms, 9).ok());
}

TEST(Cursor, AnotherDatasetIsNamed) {
  CursorTerms other = kTerms;
  other.dataset_digest = "e";
  other.windows = 101;
  absl::Status status = CheckCursor(CursorAt(kTerms, 9), other, 9);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("dataset_digest is 64, the job says 65"),
                    HasSubstr("position is 44, the job says 43"), Not(HasSubstr("shuffle_seed"))));
}

TEST(Cursor, AnotherStepIsNamed) {
  EXPECT_THAT(std::string(CheckCursor(CursorAt(kTerms, 9), kTerms, 10).message()),
              HasSubstr("step is 9, the job says 10"));
}

}  // namespace
}  // namespace carousel
