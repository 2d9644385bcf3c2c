#include "coordinator/planner.h"

#include <gtest/gtest.h>

#include <string>

#include "cluster/job/segments.h"
#include "coordinator/verifier.h"

namespace carousel {
namespace {

// 4 blocks between embedding and head, 4 micro-batches, 4 chunks.
PlanRequest Request(int workers) {
  PlanRequest request;
  request.job = "job";
  request.epoch = 7;
  request.spec.mutable_model()->set_num_blocks(4);
  request.spec.mutable_data()->set_sequence_length(250);
  request.spec.mutable_data()->set_batch_size(8);
  request.spec.mutable_numerics()->set_micro_batch_size(2);
  request.spec.mutable_numerics()->set_chunk_length(64);
  for (int unit = 0; unit < 6; ++unit) {
    UnitCost& cost = request.costs.emplace_back();
    cost.set_forward(unit == 0 ? 0.001 : 0.1);
    cost.set_backward(unit == 0 ? 0.001 : 0.12);
    cost.set_weight_gradient(unit == 0 ? 0.001 : 0.08);
  }
  for (int w = 0; w < workers; ++w) {
    const std::string id = std::to_string(w);
    request.workers.push_back({"w" + id, "127.0.0.1:500" + id});
  }
  return request;
}

TEST(Planner, TakesAllFreeWorkersUnlessTheJobWishesLess) {
  PlanRequest request = Request(3);
  EXPECT_EQ(MakePlan(request)->stages_size(), 3);

  request.spec.mutable_pipeline()->set_stages(2);
  EXPECT_EQ(MakePlan(request)->stages_size(), 2);
}

TEST(Planner, NeverMakesMoreStagesThanUnits) { EXPECT_EQ(MakePlan(Request(9))->stages_size(), 6); }

TEST(Planner, WritesAVerifiedPlanWithItsEpochAndPlaces) {
  const absl::StatusOr<Plan> plan = MakePlan(Request(2));

  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_TRUE(VerifyPlan(*plan, 6).ok());
  EXPECT_EQ(plan->epoch(), 7);
  EXPECT_EQ(plan->schedule(), ONE_F_ONE_B);
  EXPECT_EQ(plan->micro_batches(), 4);
  EXPECT_EQ(plan->stages(1).worker(), "w1");
  EXPECT_EQ(plan->stages(1).address(), "127.0.0.1:5001");
  EXPECT_GT(plan->predicted_step_seconds(), 4 * 3 * 0.3 - 1e-9);
}

TEST(Planner, CutsSegmentsWhereTheyShortenTheStep) {
  EXPECT_EQ(MakePlan(Request(2))->segments(), 4) << "slow units, cheap messages";
  EXPECT_EQ(MakePlan(Request(1))->segments(), 1) << "no neighbour to keep busy";

  PlanRequest quick = Request(2);
  for (UnitCost& cost : quick.costs) {
    cost.set_forward(cost.forward() / 1e4);
    cost.set_backward(cost.backward() / 1e4);
    cost.set_weight_gradient(cost.weight_gradient() / 1e4);
  }
  EXPECT_EQ(MakePlan(quick)->segments(), 1) << "the messages would cost more than they bring";
}

TEST(Planner, FollowsWishes) {
  PlanRequest request = Request(2);
  request.spec.mutable_pipeline()->set_segments(3);
  request.spec.mutable_pipeline()->set_schedule(GPIPE);

  const absl::StatusOr<Plan> plan = MakePlan(request);

  EXPECT_EQ(plan->segments(), 3);
  EXPECT_EQ(plan->schedule(), GPIPE);
  EXPECT_EQ(plan->stages(0).slots(), 4);
}

TEST(Planner, NamesTheNearestPlanForImpossibleWishes) {
  PlanRequest request = Request(9);
  request.spec.mutable_pipeline()->set_stages(7);
  request.spec.mutable_pipeline()->set_segments(5);

  const absl::Status status = MakePlan(request).status();

  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "pipeline.stages: 7 is not in 0..6 (a stage holds at least one of the 6 units: "
            "embedding, blocks, head); nearest that works: 6\n"
            "pipeline.segments: 5 is not in 0..4 (a segment holds at least one of the 4 chunks of "
            "64 tokens); nearest that works: 4");
}

TEST(Planner, KeepsTheListsOfAStepWithinTheirLimit) {
  PlanRequest request = Request(2);
  for (UnitCost& cost : request.costs) cost.set_forward(1e6);  // nothing is as dear as waiting
  request.spec.mutable_data()->set_batch_size(kMaxStepSegments);
  request.spec.mutable_pipeline()->set_segments(4);

  const absl::Status refused = MakePlan(request).status();
  request.spec.mutable_pipeline()->clear_segments();
  const absl::StatusOr<Plan> plan = MakePlan(request);

  EXPECT_EQ(
      refused.message(),
      "pipeline.segments: 4 segments times 32768 micro-batches (data.batch_size / "
      "numerics.micro_batch_size) are above the limit of 65536 to a step; nearest that works: "
      "2");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->segments(), 2) << "four would be faster";
}

TEST(Planner, SaysHowManyWorkersAreMissing) {
  PlanRequest request = Request(2);
  request.spec.mutable_pipeline()->set_stages(3);

  const absl::Status status = MakePlan(request).status();

  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(status.message(),
            "the job needs 3 workers and 2 are free: start more workers, or set pipeline.stages=2");
}

}  // namespace
}  // namespace carousel
