#include "worker/memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "kernels/backend.h"

namespace carousel {
namespace {

using kernels::DType;
using kernels::Span;

class MemoryTest : public ::testing::Test {
 protected:
  std::unique_ptr<kernels::Backend> backend_ = kernels::NewCpuBackend(kernels::Isa::kScalar, 1);
  const StageCapacity capacity_ = {.sequence_length = 8, .batch = 3, .slots = 2};
};

Segment SegmentAt(int slot, int64_t first_step, int64_t steps, int index, bool last) {
  Segment segment;
  segment.slot = slot;
  segment.first_step = first_step;
  segment.steps = steps;
  segment.batch = 3;
  segment.index = index;
  segment.last = last;
  return segment;
}

int64_t Distance(Span from, Span to) { return to.address() - from.address(); }

TEST_F(MemoryTest, RowsOfASegmentLieBehindThoseOfTheOneBeforeAndSlotsApart) {
  const auto buffer = SlotBuffer::Allocate(*backend_, capacity_, /*width=*/5, DType::kF32);
  ASSERT_TRUE(buffer.ok()) << buffer.status();

  const Span whole = buffer->Rows(SegmentAt(0, 0, 8, 0, true));
  const Span later = buffer->Rows(SegmentAt(0, 6, 2, 1, true));
  const Span other = buffer->Rows(SegmentAt(1, 0, 8, 0, true));

  EXPECT_EQ(whole.size(), 8 * 3 * 5);
  EXPECT_EQ(later.size(), 2 * 3 * 5);
  EXPECT_EQ(Distance(whole, later), 6 * 3 * 5 * 4);
  EXPECT_EQ(Distance(whole, other), 8 * 3 * 5 * 4);
}

TEST_F(MemoryTest, ColumnsStartInsideARowAndKeepItsStride) {
  const auto buffer = SlotBuffer::Allocate(*backend_, capacity_, 5, DType::kF32);
  const Segment segment = SegmentAt(0, 2, 4, 0, false);

  const kernels::Matrix columns = buffer->Columns(segment, 2);

  EXPECT_EQ(Distance(buffer->Rows(segment), columns.data), 2 * 4);
  EXPECT_EQ(columns.stride, 5);
}

TEST_F(MemoryTest, NothingIsCarriedIntoTheFirstSegmentOrOutOfTheLast) {
  const auto carry = CarryBuffer::Allocate(*backend_, {.slots = 2, .borders = 3}, /*size=*/7);
  ASSERT_TRUE(carry.ok()) << carry.status();

  EXPECT_TRUE(carry->Into(SegmentAt(0, 0, 2, 0, false)).empty());
  EXPECT_TRUE(carry->OutOf(SegmentAt(0, 6, 2, 3, true)).empty());
}

TEST_F(MemoryTest, WhatOneSegmentCarriesOutIsWhatTheNextTakesIn) {
  const auto carry = CarryBuffer::Allocate(*backend_, {.slots = 2, .borders = 3}, 7);

  for (int slot = 0; slot < 2; ++slot) {
    for (int index = 0; index < 3; ++index) {
      const Span out = carry->OutOf(SegmentAt(slot, 2 * index, 2, index, false));
      const Span in = carry->Into(SegmentAt(slot, 2 * index + 2, 2, index + 1, index == 2));
      EXPECT_EQ(out.address(), in.address());
      EXPECT_EQ(in.size(), 7);
    }
  }
}

TEST_F(MemoryTest, EveryBorderOfEverySlotHasAPlaceOfItsOwn) {
  const auto carry = CarryBuffer::Allocate(*backend_, {.slots = 2, .borders = 3}, 7);
  std::vector<const void*> places;
  for (int slot = 0; slot < 2; ++slot) {
    for (int index = 1; index <= 3; ++index) places.push_back(carry->Border(slot, index).address());
  }
  std::sort(places.begin(), places.end());

  EXPECT_EQ(std::unique(places.begin(), places.end()), places.end());
}

TEST_F(MemoryTest, TwoBordersAreUsedInTurns) {
  const auto carry = CarryBuffer::Allocate(*backend_, {.slots = 1, .borders = 2}, 7);

  EXPECT_NE(carry->Border(0, 4).address(), carry->Border(0, 3).address());
  EXPECT_EQ(carry->Border(0, 4).address(), carry->Border(0, 2).address());
}

TEST_F(MemoryTest, TheWorkspaceHoldsTheLargestOfWhatWasReserved) {
  Workspace workspace;
  workspace.Reserve(1, 10);
  workspace.Reserve(1, 30);
  workspace.Reserve(1, 20);
  workspace.Reserve(0, 5);
  ASSERT_TRUE(workspace.Allocate(*backend_, DType::kF32).ok());

  EXPECT_EQ(workspace.Get(1, 30).size(), 30);
  EXPECT_EQ(workspace.Get(0, 5).size(), 5);
  EXPECT_NE(workspace.Get(1, 30).address(), workspace.Get(0, 5).address());
}

}  // namespace
}  // namespace carousel
