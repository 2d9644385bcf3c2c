#include "coordinator/schedule.h"

#include <gtest/gtest.h>

#include <string>

namespace carousel {
namespace {

// A stage's operations without the weight gradients, as the literature prints them.
std::string ForwardsAndBackwards(const StageSchedule& stage, int segments) {
  std::vector<Op> ops;
  for (const Op& op : stage.ops) {
    if (op.kind != WEIGHT_GRADIENT) ops.push_back(op);
  }
  return ToString(ops, segments);
}

TEST(OneFOneB, PrintsTheKnownTableOfFourStagesAndSixMicroBatches) {
  const Schedule schedule = OneFOneB({.stages = 4, .micro_batches = 6, .segments = 1});

  EXPECT_EQ(ForwardsAndBackwards(schedule[0], 1), "F0 F1 F2 F3 B0 F4 B1 F5 B2 B3 B4 B5");
  EXPECT_EQ(ForwardsAndBackwards(schedule[1], 1), "F0 F1 F2 B0 F3 B1 F4 B2 F5 B3 B4 B5");
  EXPECT_EQ(ForwardsAndBackwards(schedule[2], 1), "F0 F1 B0 F2 B1 F3 B2 F4 B3 F5 B4 B5");
  EXPECT_EQ(ForwardsAndBackwards(schedule[3], 1), "F0 B0 F1 B1 F2 B2 F3 B3 F4 B4 F5 B5");
}

TEST(OneFOneB, PrintsTheKnownTableWithFourSegments) {
  const Schedule schedule = OneFOneB({.stages = 4, .micro_batches = 2, .segments = 4});

  EXPECT_EQ(ForwardsAndBackwards(schedule[0], 4),
            "F0.0 F0.1 F0.2 F0.3 F1.0 F1.1 F1.2 B0.3 F1.3 B0.2 B0.1 B0.0 B1.3 B1.2 B1.1 B1.0");
  EXPECT_EQ(ForwardsAndBackwards(schedule[1], 4),
            "F0.0 F0.1 F0.2 F0.3 F1.0 F1.1 B0.3 F1.2 B0.2 F1.3 B0.1 B0.0 B1.3 B1.2 B1.1 B1.0");
  EXPECT_EQ(ForwardsAndBackwards(schedule[2], 4),
            "F0.0 F0.1 F0.2 F0.3 F1.0 B0.3 F1.1 B0.2 F1.2 B0.1 F1.3 B0.0 B1.3 B1.2 B1.1 B1.0");
  EXPECT_EQ(ForwardsAndBackwards(schedule[3], 4),
            "F0.0 F0.1 F0.2 F0.3 B0.3 F1.0 B0.2 F1.1 B0.1 F1.2 B0.0 F1.3 B1.3 B1.2 B1.1 B1.0");
}

TEST(OneFOneB, RunsTheWeightGradientsOfAMicroBatchAfterItsLastBackward) {
  const Schedule schedule = OneFOneB({.stages = 1, .micro_batches = 1, .segments = 3});

  EXPECT_EQ(ToString(schedule[0].ops, 3), "F0.0 F0.1 F0.2 B0.2 B0.1 B0.0 W0.2 W0.1 W0.0");
}

TEST(OneFOneB, KeepsFewerMicroBatchesAliveTowardsTheLastStage) {
  const Schedule schedule = OneFOneB({.stages = 4, .micro_batches = 8, .segments = 1});

  EXPECT_EQ(schedule[0].slots, 4);
  EXPECT_EQ(schedule[1].slots, 3);
  EXPECT_EQ(schedule[2].slots, 2);
  EXPECT_EQ(schedule[3].slots, 1);
}

TEST(OneFOneB, KeepsAtMostThreeMicroBatchesAliveWithManySegments) {
  const Schedule schedule = OneFOneB({.stages = 8, .micro_batches = 16, .segments = 8});

  for (const StageSchedule& stage : schedule) EXPECT_LE(stage.slots, 3);
  EXPECT_EQ(schedule.back().slots, 2);
}

TEST(GPipe, RunsAllForwardsThenAllBackwardsAscending) {
  const Schedule schedule = GPipe({.stages = 2, .micro_batches = 3, .segments = 1});

  EXPECT_EQ(ToString(schedule[0].ops, 1), "F0 F1 F2 B0 W0 B1 W1 B2 W2");
  EXPECT_EQ(schedule[0].ops, schedule[1].ops);
  EXPECT_EQ(schedule[0].slots, 3);
}

}  // namespace
}  // namespace carousel
