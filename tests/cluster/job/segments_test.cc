#include "cluster/job/segments.h"

#include <gtest/gtest.h>

namespace carousel {
namespace {

TEST(SegmentsTest, SegmentsCoverTheSequenceInWholeChunks) {
  for (int64_t sequence : {1, 40, 170, 200, 256}) {
    const int64_t chunks = ChunksPerSequence(sequence, 40);
    for (int64_t segments = 1; segments <= chunks; ++segments) {
      int64_t reached = 0;
      for (int64_t i = 0; i < segments; ++i) {
        const SegmentRange range = SegmentOf(sequence, 40, segments, i);
        EXPECT_EQ(range.begin, reached);
        EXPECT_EQ(range.begin % 40, 0);
        EXPECT_GT(range.steps(), 0);
        reached = range.end;
      }
      EXPECT_EQ(reached, sequence);
    }
  }
}

TEST(SegmentsTest, ChunksAreSharedOutEvenly) {
  EXPECT_EQ(SegmentOf(170, 40, 2, 0), (SegmentRange{0, 80}));
  EXPECT_EQ(SegmentOf(170, 40, 2, 1), (SegmentRange{80, 170}));
  EXPECT_EQ(SegmentOf(256, 64, 4, 3), (SegmentRange{192, 256}));
}

}  // namespace
}  // namespace carousel
