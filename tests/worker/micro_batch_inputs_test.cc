#include "worker/micro_batch_inputs.h"

#include <gtest/gtest.h>

#include <numeric>

namespace carousel {
namespace {

using kernels::Span;

// S = 10 steps in chunks of 4 (the last is shorter), B = 2.
const StageCapacity kCapacity = {.sequence_length = 10, .batch = 2, .slots = 2, .chunk = 4};

MicroBatch Numbered(int32_t first) {
  MicroBatch rows;
  rows.tokens.resize(20);
  std::iota(rows.tokens.begin(), rows.tokens.end(), first);
  for (int32_t token : rows.tokens) {
    rows.labels.push_back(token + 1000);
    rows.resets.push_back(token % 3 == 0);
  }
  return rows;
}

class MicroBatchInputsTest : public ::testing::TestWithParam<const char*> {
 protected:
  template <class T>
  std::vector<T> Read(Span span) {
    std::vector<T> values(span.size());
    backend_->CopyToHost(stream_, span, values.data());
    EXPECT_TRUE(backend_->Record(stream_).Wait().ok());
    return values;
  }
  MicroBatchInputs Create(int segments) {
    return *MicroBatchInputs::Create(backend_.get(), stream_, kCapacity, segments);
  }

  std::unique_ptr<kernels::Backend> backend_ = *kernels::NewBackend(GetParam(), 1);
  kernels::Stream stream_ = backend_->NewStream();
};

INSTANTIATE_TEST_SUITE_P(Backends, MicroBatchInputsTest, ::testing::Values("cpu", "test"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(MicroBatchInputsTest, SegmentsShareOutTheRowsAndKnowTheirPlace) {
  MicroBatchInputs inputs = Create(/*segments=*/3);
  ASSERT_TRUE(inputs.Load(0, Numbered(100)).ok());

  std::vector<int32_t> tokens, labels;
  std::vector<uint8_t> resets;
  for (int index = 0; index < 3; ++index) {
    const Segment segment = inputs.At(0, index);
    EXPECT_EQ(segment.first_step, 4 * index);
    EXPECT_EQ(segment.steps, index < 2 ? 4 : 2);
    EXPECT_EQ(segment.index, index);
    EXPECT_EQ(segment.last, index == 2);
    for (int32_t x : Read<int32_t>(segment.tokens)) tokens.push_back(x);
    for (int32_t x : Read<int32_t>(segment.labels)) labels.push_back(x);
    for (uint8_t x : Read<uint8_t>(segment.resets)) resets.push_back(x);
  }

  const MicroBatch all = Numbered(100);
  EXPECT_EQ(tokens, all.tokens);
  EXPECT_EQ(labels, all.labels);
  EXPECT_EQ(resets, all.resets);
}

TEST_P(MicroBatchInputsTest, ARunIsItsSegmentsAsOne) {
  MicroBatchInputs inputs = Create(3);
  ASSERT_TRUE(inputs.Load(1, Numbered(0)).ok());

  const Segment tail = inputs.Run(1, 1, 3), whole = inputs.Run(1, 0, 3);

  EXPECT_EQ(tail.first_step, 4);
  EXPECT_EQ(tail.steps, 6);
  EXPECT_EQ(tail.index, 1);
  EXPECT_TRUE(tail.last);
  EXPECT_EQ(Read<int32_t>(tail.tokens).front(), 8);
  EXPECT_EQ(Read<int32_t>(whole.tokens), Numbered(0).tokens);
}

TEST_P(MicroBatchInputsTest, SlotsDoNotTouchEachOtherAndAreUsedAgain) {
  MicroBatchInputs inputs = Create(1);

  for (int round = 0; round < 20; ++round) {
    ASSERT_TRUE(inputs.Load(0, Numbered(100 * round)).ok());
    ASSERT_TRUE(inputs.Load(1, Numbered(100 * round + 50)).ok());
    EXPECT_EQ(Read<int32_t>(inputs.At(0, 0).tokens), Numbered(100 * round).tokens);
    EXPECT_EQ(Read<int32_t>(inputs.At(1, 0).tokens), Numbered(100 * round + 50).tokens);
  }
}

// Whoever went on would compute with rows that never arrived.
TEST_P(MicroBatchInputsTest, ADeviceThatHasFailedSaysSoAtTheNextUseOfTheSlot) {
  MicroBatchInputs inputs = Create(1);
  kernels::Event broken = kernels::Event::Pending();
  broken.Complete(absl::InternalError("the device is gone"));
  backend_->Wait(stream_, broken);
  inputs.Load(0, Numbered(0)).IgnoreError();

  EXPECT_EQ(inputs.Load(0, Numbered(1)), absl::InternalError("the device is gone"));
}

}  // namespace
}  // namespace carousel
