#include "coordinator/verifier.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

namespace carousel {
namespace {

constexpr ScheduleKind kKinds[] = {GPIPE, ONE_F_ONE_B};

TEST(Verifier, ProvesEveryShapeOfEverySchedule) {
  for (ScheduleKind kind : kKinds) {
    for (int p = 1; p <= 8; ++p) {
      for (int m = 1; m <= 9; ++m) {
        for (int s : {1, 2, 3, 4, 7, 8}) {
          const ScheduleShape shape = {p, m, s};

          const absl::Status one_credit = VerifySchedule(MakeSchedule(kind, shape), shape, 1);

          EXPECT_TRUE(one_credit.ok()) << p << " " << m << " " << s << ": " << one_credit;
        }
      }
    }
  }
}

TEST(Verifier, FindsTheFormulaOfTheBubble) {
  const StageCost cost = {.forward = 1, .backward = 1.25, .weight_gradient = 0.75};
  for (ScheduleKind kind : kKinds) {
    for (int p = 1; p <= 6; ++p) {
      for (int s : {1, 2, 4, 8}) {
        const int m = 2 * p;
        const Schedule schedule = MakeSchedule(kind, {p, m, s});

        const Timeline timeline = Play(schedule, s, std::vector<StageCost>(p, cost), 2);

        EXPECT_NEAR(timeline.seconds,
                    m * cost.Total() + (p - 1) * (cost.forward + cost.backward) / s, 1e-9)
            << ScheduleKind_Name(kind) << " p=" << p << " s=" << s;
        EXPECT_NEAR(timeline.bubble_ratio, 1 - m * cost.Total() / timeline.seconds, 1e-9);
      }
    }
  }
}

TEST(Verifier, CountsTheOverheadOfEachForwardAndBackward) {
  const Schedule schedule = OneFOneB({1, 3, 4});

  const Timeline timeline = Play(schedule, 4, {{.overhead = 0.5}}, 1);

  EXPECT_NEAR(timeline.seconds, 9 + 3 * 4 * 2 * 0.5, 1e-9);
}

// Breaks a good schedule in one place and expects the proof to name it.
class BrokenSchedule : public testing::Test {
 protected:
  Op& Find(int stage, const Op& op) {
    auto& ops = schedule_[stage].ops;
    return *std::find(ops.begin(), ops.end(), op);
  }
  std::string Proof(int credits = 2) {
    return std::string(VerifySchedule(schedule_, shape_, credits).message());
  }

  ScheduleShape shape_ = {3, 4, 2};
  Schedule schedule_ = OneFOneB(shape_);
};

TEST_F(BrokenSchedule, WithAMissingOperationIsRefused) {
  schedule_[1].ops.pop_back();
  EXPECT_EQ(Proof(), "the plan is wrong at stage 1: 23 of 24 operations");
}

TEST_F(BrokenSchedule, WithARepeatedOperationIsRefused) {
  schedule_[1].ops.push_back(schedule_[1].ops[0]);
  EXPECT_EQ(Proof(), "the plan is wrong at stage 1: F0.0 runs twice");
}

TEST_F(BrokenSchedule, WithSegmentsAgainstTimeIsRefused) {
  std::swap(Find(0, {FORWARD, 1, 0}), Find(0, {FORWARD, 1, 1}));
  EXPECT_EQ(Proof(),
            "the plan is wrong at stage 0: F1.1 runs before the segment whose state it carries on");
}

TEST_F(BrokenSchedule, WithBackwardSegmentsAscendingIsRefused) {
  std::swap(Find(2, {BACKWARD, 0, 0}), Find(2, {BACKWARD, 0, 1}));
  EXPECT_NE(Proof().find("stage 2: B0.0 runs before the segment whose state gradient"),
            std::string::npos);
}

TEST_F(BrokenSchedule, WithWeightGradientsOutOfOrderIsRefused) {
  std::swap(Find(2, {WEIGHT_GRADIENT, 0, 0}), Find(2, {WEIGHT_GRADIENT, 0, 1}));
  EXPECT_EQ(Proof(), "the plan is wrong at stage 2: W0.0 is not next in the order of the sums");
}

TEST_F(BrokenSchedule, WithTooFewSlotsIsRefused) {
  schedule_[0].slots = 1;
  EXPECT_EQ(Proof(), "the plan is wrong at stage 0: 1 slots for 3 micro-batches");
}

TEST_F(BrokenSchedule, WhoseNeighboursDisagreeAboutOrderIsRefused) {
  schedule_[0] = GPipe({3, 4, 2})[0];
  auto& ops = schedule_[0].ops;
  const auto swap_micro_batches = [](Op* op) {
    if (op->kind == FORWARD && op->micro_batch >= 2) op->micro_batch = 5 - op->micro_batch;
  };
  for (Op& op : ops) swap_micro_batches(&op);
  schedule_[0].slots = 4;
  EXPECT_EQ(Proof(), "the plan is wrong at stage 1: reads F2.0 where stage 0 sends F3.0");
}

// Both stages would first do what needs the other: the textbook deadlock.
TEST(Verifier, NamesTheStagesThatStandStill) {
  Schedule schedule = OneFOneB({2, 2, 1});
  std::vector<Op>& first = schedule[0].ops;
  first = {{FORWARD, 0, 0}, {BACKWARD, 0, 0}, {WEIGHT_GRADIENT, 0, 0},
           {FORWARD, 1, 0}, {BACKWARD, 1, 0}, {WEIGHT_GRADIENT, 1, 0}};
  schedule[1] = GPipe({2, 2, 1})[1];

  const absl::Status proof = VerifySchedule(schedule, {2, 2, 1}, 2);

  EXPECT_EQ(proof.message(),
            "the plan stands still with 2 credits: stage 0 stands before B0, stage 1 stands before "
            "F1");
}

TEST(Verifier, FindsRandomDamage) {
  std::mt19937 random(7);
  const ScheduleShape shape = {3, 3, 2};
  for (int trial = 0; trial < 300; ++trial) {
    Schedule schedule = OneFOneB(shape);
    std::vector<Op>& ops = schedule[random() % 3].ops;
    ops[random() % ops.size()] = ops[random() % ops.size()];
    if (schedule[0].ops == OneFOneB(shape)[0].ops && schedule[1].ops == OneFOneB(shape)[1].ops &&
        schedule[2].ops == OneFOneB(shape)[2].ops) {
      continue;
    }
    EXPECT_FALSE(VerifySchedule(schedule, shape, 2).ok());
  }
}

Plan TwoStagePlan() {
  Plan plan;
  plan.set_micro_batches(2);
  plan.set_segments(1);
  plan.set_credits(2);
  const Schedule schedule = OneFOneB({2, 2, 1});
  for (int k = 0; k < 2; ++k) {
    StagePlan* stage = plan.add_stages();
    stage->set_first_unit(k == 0 ? 0 : 3);
    stage->set_end_unit(k == 0 ? 3 : 5);
    stage->set_worker("w" + std::to_string(k));
    stage->set_slots(schedule[k].slots);
    for (const Op& op : schedule[k].ops) {
      StageOp* out = stage->add_ops();
      out->set_kind(op.kind);
      out->set_micro_batch(op.micro_batch);
      out->set_segment(op.segment);
    }
  }
  return plan;
}

TEST(VerifyPlan, AcceptsStagesThatCoverAllUnits) {
  EXPECT_TRUE(VerifyPlan(TwoStagePlan(), 5).ok());
}

TEST(VerifyPlan, RefusesUnitsLeftOut) {
  EXPECT_EQ(VerifyPlan(TwoStagePlan(), 6).message(), "the plan covers 5 of 6 units");
  Plan gap = TwoStagePlan();
  gap.mutable_stages(1)->set_first_unit(4);
  EXPECT_EQ(VerifyPlan(gap, 5).message(),
            "the plan is wrong at stage 1: holds units 4 to 5 where 3 is next");
}

TEST(VerifyPlan, RefusesAWorkerWithTwoStages) {
  Plan plan = TwoStagePlan();
  plan.mutable_stages(1)->set_worker("w0");
  EXPECT_EQ(VerifyPlan(plan, 5).message(),
            "the plan is wrong at stage 1: worker w0 has another stage already");
}

}  // namespace
}  // namespace carousel
