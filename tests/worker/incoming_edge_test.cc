#include "worker/incoming_edge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <xxhash.h>

#include <functional>

namespace carousel {
namespace {

using ::testing::HasSubstr;

EdgeOptions Options() {
  return {.job = "job", .epoch = 4, .stage = 1, .addresses = {"a", "b"}, .max_tensor_bytes = 64};
}

Frame FrameOf(const std::string& payload, int64_t offset, int64_t total) {
  Frame frame;
  frame.set_job("job");
  frame.set_epoch(4);
  frame.set_step(17);
  frame.set_kind(ACTIVATION);
  frame.set_micro_batch(3);
  frame.set_segment(1);
  frame.set_from_stage(0);
  frame.set_to_stage(1);
  frame.set_offset(offset);
  frame.set_total(total);
  frame.set_payload(payload);
  frame.set_checksum(XXH3_64bits(payload.data(), payload.size()));
  return frame;
}

TEST(IncomingEdge, PutsATensorTogetherFromItsFrames) {
  IncomingEdge edge(Options(), /*from_stage=*/0);

  const auto first = edge.Add(FrameOf("abcd", 0, 6));
  const auto second = edge.Add(FrameOf("ef", 4, 6));
  const auto next = edge.Add(FrameOf("g", 0, 1));

  ASSERT_TRUE(first.ok() && second.ok() && next.ok());
  EXPECT_FALSE(first->has_value());
  ASSERT_TRUE(second->has_value());
  EXPECT_EQ((*second)->bytes, "abcdef");
  EXPECT_EQ((*second)->tag, (Tag{17, ACTIVATION, 3, 1}));
  ASSERT_TRUE(next->has_value());
  EXPECT_EQ((*next)->bytes, "g");
}

TEST(IncomingEdge, AnEmptyTensorIsATensor) {
  IncomingEdge edge(Options(), 0);

  const auto tensor = edge.Add(FrameOf("", 0, 0));

  ASSERT_TRUE(tensor.ok()) << tensor.status();
  ASSERT_TRUE(tensor->has_value());
  EXPECT_EQ((*tensor)->bytes, "");
}

TEST(IncomingEdge, ATensorOfTheLargestSizePasses) {
  IncomingEdge edge(Options(), 0);

  const auto tensor = edge.Add(FrameOf(std::string(64, 'x'), 0, 64));

  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ((*tensor)->bytes.size(), 64u);
}

struct BadFrame {
  const char* what;
  std::function<void(Frame&)> spoil;
  const char* message;
};

TEST(IncomingEdge, RefusesEveryBadFirstFrameByName) {
  const BadFrame bad[] = {
      {"job", [](Frame& f) { f.set_job("other"); }, "a frame of job other, epoch 4"},
      {"older epoch", [](Frame& f) { f.set_epoch(3); }, "epoch 3 on an edge of job job, epoch 4"},
      {"newer epoch", [](Frame& f) { f.set_epoch(5); }, "epoch 5 on an edge of job job, epoch 4"},
      {"to stage", [](Frame& f) { f.set_to_stage(2); }, "a frame from stage 0 to stage 2"},
      {"from stage", [](Frame& f) { f.set_from_stage(2); }, "a frame from stage 2 to stage 1"},
      {"too large", [](Frame& f) { f.set_total(65); },
       "a tensor of 65 bytes; the largest of this job has 64"},
      {"negative size", [](Frame& f) { f.set_total(-1); }, "a tensor of -1 bytes"},
      {"checksum", [](Frame& f) { f.set_checksum(f.checksum() + 1); },
       "bytes at 0 fail their checksum"},
      {"flipped bit", [](Frame& f) { (*f.mutable_payload())[2] ^= 1; },
       "bytes at 0 fail their checksum"},
      {"offset", [](Frame& f) { f.set_offset(2); }, "bytes at 2 of 4 where 0 were expected"},
      {"negative offset", [](Frame& f) { f.set_offset(-4); }, "bytes at -4 of 4"},
      {"longer than it says", [](Frame& f) { f.set_total(3); }, "bytes at 0 of 3"},
  };
  for (const BadFrame& one : bad) {
    IncomingEdge edge(Options(), 0);
    Frame frame = FrameOf("abcd", 0, 4);
    one.spoil(frame);

    const auto tensor = edge.Add(frame);

    ASSERT_FALSE(tensor.ok()) << one.what;
    EXPECT_THAT(std::string(tensor.status().message()), HasSubstr(one.message)) << one.what;
    EXPECT_THAT(std::string(tensor.status().message()),
                HasSubstr("activation of step 17, micro-batch 3, segment 1"))
        << one.what;
  }
}

TEST(IncomingEdge, RefusesEveryBadFrameInTheMiddleOfATensor) {
  const BadFrame bad[] = {
      {"again", [](Frame& f) { f.set_offset(0); }, "bytes at 0 of 8 where 4 were expected"},
      {"gap", [](Frame& f) { f.set_offset(6); }, "bytes at 6 of 8 where 4 were expected"},
      {"step", [](Frame& f) { f.set_step(18); }, "step 18"},
      {"kind", [](Frame& f) { f.set_kind(GRADIENT); }, "gradient"},
      {"micro-batch", [](Frame& f) { f.set_micro_batch(4); }, "micro-batch 4"},
      {"segment", [](Frame& f) { f.set_segment(2); }, "segment 2"},
      {"beyond its end", [](Frame& f) { f.set_total(7); }, "bytes at 4 of 7"},
      {"grown", [](Frame& f) { f.set_total(9); }, "bytes at 4 of 9"},
      {"epoch", [](Frame& f) { f.set_epoch(3); }, "epoch 3"},
  };
  for (const BadFrame& one : bad) {
    IncomingEdge edge(Options(), 0);
    ASSERT_TRUE(edge.Add(FrameOf("abcd", 0, 8)).ok());
    Frame frame = FrameOf("efgh", 4, 8);
    one.spoil(frame);

    const auto tensor = edge.Add(frame);

    ASSERT_FALSE(tensor.ok()) << one.what;
    EXPECT_THAT(std::string(tensor.status().message()), HasSubstr(one.message)) << one.what;
  }
}

// A first piece may be empty; it is the first piece all the same.
TEST(IncomingEdge, RefusesAnotherTagAfterAnEmptyPiece) {
  IncomingEdge edge(Options(), 0);

  const auto empty = edge.Add(FrameOf("", 0, 4));

  ASSERT_FALSE(empty.ok()) << "a piece that brings nothing of a tensor that has something";
}

}  // namespace
}  // namespace carousel
