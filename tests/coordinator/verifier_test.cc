#include "coordinator/verifier.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>
#include <string>
#include <utility>
#include <vector>

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

TEST_F(BrokenSchedule, WithAnOperationOfNoStepIsRefused) {
  Find(0, {FORWARD, 3, 1}).micro_batch = 4;
  EXPECT_EQ(Proof(), "the plan is wrong at stage 0: F4.1 is no operation of this step");
}

TEST_F(BrokenSchedule, WithSegmentsAgainstTimeIsRefused) {
  std::swap(Find(0, {FORWARD, 1, 0}), Find(0, {FORWARD, 1, 1}));
  EXPECT_EQ(Proof(), "the plan is wrong at stage 0: F1.1 runs where F1.0 is next");
}

TEST_F(BrokenSchedule, WithBackwardSegmentsAscendingIsRefused) {
  std::swap(Find(2, {BACKWARD, 0, 0}), Find(2, {BACKWARD, 0, 1}));
  EXPECT_EQ(Proof(), "the plan is wrong at stage 2: B0.0 runs where B0.1 is next");
}

TEST_F(BrokenSchedule, WithWeightGradientsOutOfOrderIsRefused) {
  std::swap(Find(2, {WEIGHT_GRADIENT, 0, 0}), Find(2, {WEIGHT_GRADIENT, 0, 1}));
  EXPECT_EQ(Proof(), "the plan is wrong at stage 2: W0.0 runs where W0.1 is next");
}

TEST_F(BrokenSchedule, WithTooFewSlotsIsRefused) {
  schedule_[0].slots = 2;
  EXPECT_EQ(Proof(),
            "the plan is wrong at stage 0: F2.0 overwrites micro-batch 0 in its slot (of 2), whose "
            "last W is still to run");
  schedule_[0].slots = 0;
  EXPECT_EQ(Proof(), "the plan is wrong at stage 0: 0 slots");
}

TEST_F(BrokenSchedule, WithMicroBatchesOutOfOrderIsRefused) {
  std::swap(Find(0, {FORWARD, 2, 0}), Find(0, {FORWARD, 3, 0}));
  EXPECT_EQ(Proof(), "the plan is wrong at stage 0: F3.0 runs where F2.0 is next");
}

// One stage, one segment: what the memory of a stage forbids although every operation has what it
// needs from its neighbours.
std::string ProofOfOneStage(const std::vector<Op>& ops, int micro_batches, int slots) {
  return std::string(VerifySchedule({{ops, slots}}, {1, micro_batches, 1}, 2).message());
}

TEST(Verifier, RefusesABackwardOverTheGradientsOfTheMicroBatchBefore) {
  EXPECT_EQ(ProofOfOneStage({{FORWARD, 0},
                             {FORWARD, 1},
                             {BACKWARD, 0},
                             {BACKWARD, 1},
                             {WEIGHT_GRADIENT, 0},
                             {WEIGHT_GRADIENT, 1}},
                            2, 2),
            "the plan is wrong at stage 0: B1 overwrites the gradients of micro-batch 0, whose "
            "last W is still to run");
}

TEST(Verifier, RefusesAForwardIntoASlotThatIsInUse) {
  EXPECT_EQ(ProofOfOneStage({{FORWARD, 0},
                             {FORWARD, 2},
                             {BACKWARD, 0},
                             {WEIGHT_GRADIENT, 0},
                             {FORWARD, 1},
                             {BACKWARD, 1},
                             {WEIGHT_GRADIENT, 1},
                             {BACKWARD, 2},
                             {WEIGHT_GRADIENT, 2}},
                            3, 2),
            "the plan is wrong at stage 0: F2 runs where F1 is next");
  EXPECT_EQ(ProofOfOneStage({{FORWARD, 0},
                             {FORWARD, 1},
                             {BACKWARD, 0},
                             {FORWARD, 2},
                             {WEIGHT_GRADIENT, 0},
                             {BACKWARD, 1},
                             {WEIGHT_GRADIENT, 1},
                             {BACKWARD, 2},
                             {WEIGHT_GRADIENT, 2}},
                            3, 2),
            "the plan is wrong at stage 0: F2 overwrites micro-batch 0 in its slot (of 2), whose "
            "last W is still to run");
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

// A step as workers live it, knowing nothing of the proof's rules: memory that holds the number of
// the micro-batch that was written there last, and edges that pass such numbers on in order.
class Replay {
 public:
  Replay(const Schedule& schedule, const ScheduleShape& shape, size_t credits)
      : schedule_(schedule), shape_(shape), credits_(credits), stages_(shape.stages) {
    for (int k = 0; k < shape.stages; ++k) {
      stages_[k].slots.assign(schedule[k].slots, std::vector<int>(shape.segments, kEmpty));
      stages_[k].gradients.assign(shape.segments, kEmpty);
    }
  }

  // Does every stage come to its end with the sums that it should have?
  bool IsRight() {
    for (bool moved = true; moved;) {
      moved = false;
      for (int k = 0; k < shape_.stages; ++k) {
        while (stages_[k].next < schedule_[k].ops.size() && Run(k)) moved = true;
      }
    }
    return right_ && std::all_of(stages_.begin(), stages_.end(), [&](const StageMemory& stage) {
             return stage.sums == CanonicalSums() && stage.down.empty() && stage.up.empty();
           });
  }

 private:
  static constexpr int kEmpty = -1;
  using Edge = std::deque<std::pair<int, int>>;  // micro-batch and segment
  struct StageMemory {
    size_t next = 0;
    std::vector<std::vector<int>> slots;  // micro-batch whose activations lie there, by segment
    std::vector<int> gradients;           // the same of the gradients, by segment
    std::pair<int, int> state = {kEmpty, 0}, state_gradient = {kEmpty, 0};  // carried
    std::vector<std::pair<int, int>> sums;                                  // in their order
    Edge down, up;  // what this stage has sent to the next, to the one before
  };

  std::vector<std::pair<int, int>> CanonicalSums() const {
    std::vector<std::pair<int, int>> sums;
    for (int m = 0; m < shape_.micro_batches; ++m) {
      for (int s = shape_.segments - 1; s >= 0; --s) sums.push_back({m, s});
    }
    return sums;
  }

  // The next operation of stage k; false if it waits.
  bool Run(int k) {
    StageMemory& stage = stages_[k];
    const Op& op = schedule_[k].ops[stage.next];
    const std::pair<int, int> what = {op.micro_batch, op.segment};
    std::vector<int>& slot = stage.slots[op.micro_batch % stage.slots.size()];
    if (op.kind == WEIGHT_GRADIENT) {
      right_ &= slot[op.segment] == op.micro_batch && stage.gradients[op.segment] == op.micro_batch;
      stage.sums.push_back(what);
    } else {
      const bool forward = op.kind == FORWARD;
      Edge* from = forward ? (k > 0 ? &stages_[k - 1].down : nullptr)
                           : (k + 1 < shape_.stages ? &stages_[k + 1].up : nullptr);
      Edge* to =
          forward ? (k + 1 < shape_.stages ? &stage.down : nullptr) : (k > 0 ? &stage.up : nullptr);
      if ((from != nullptr && from->empty()) || (to != nullptr && to->size() >= credits_)) {
        return false;
      }
      if (from != nullptr) {
        right_ &= from->front() == what;
        from->pop_front();
      }
      if (to != nullptr) to->push_back(what);
      if (forward) Forward(op, &slot, &stage);
      if (!forward) Backward(op, slot, &stage);
    }
    ++stage.next;
    return true;
  }

  void Forward(const Op& op, std::vector<int>* slot, StageMemory* stage) {
    right_ &= op.segment == 0 || stage->state == std::pair(op.micro_batch, op.segment - 1);
    stage->state = {op.micro_batch, op.segment};
    (*slot)[op.segment] = op.micro_batch;
  }

  void Backward(const Op& op, const std::vector<int>& slot, StageMemory* stage) {
    right_ &= slot[op.segment] == op.micro_batch;
    right_ &= op.segment + 1 == shape_.segments ||
              stage->state_gradient == std::pair(op.micro_batch, op.segment + 1);
    stage->state_gradient = {op.micro_batch, op.segment};
    stage->gradients[op.segment] = op.micro_batch;
  }

  const Schedule& schedule_;
  const ScheduleShape shape_;
  const size_t credits_;
  std::vector<StageMemory> stages_;
  bool right_ = true;
};

// An operation written over another, two exchanged, one dropped, one moved.
void Damage(std::mt19937* random, std::vector<Op>* ops) {
  const auto any = [&] { return (*random)() % ops->size(); };
  const size_t from = any(), to = any();
  const Op op = (*ops)[from];
  switch ((*random)() % 4) {
    case 0:
      (*ops)[to] = op;
      break;
    case 1:
      std::swap((*ops)[from], (*ops)[to]);
      break;
    case 2:
      ops->erase(ops->begin() + static_cast<ptrdiff_t>(from));
      break;
    default:
      ops->erase(ops->begin() + static_cast<ptrdiff_t>(from));
      ops->insert(ops->begin() + static_cast<ptrdiff_t>(to), op);
  }
}

TEST(Verifier, FindsRandomDamage) {
  std::mt19937 random(7);
  int harmful = 0, harmless = 0;
  for (int trial = 0; trial < 6000; ++trial) {
    const ScheduleShape shape = {1 + trial % 3, 3, 1 + trial / 3 % 2};
    Schedule schedule = MakeSchedule(kKinds[trial / 6 % 2], shape);
    ASSERT_TRUE(Replay(schedule, shape, 2).IsRight());
    StageSchedule& stage = schedule[random() % shape.stages];
    Damage(&random, &stage.ops);

    const bool right = Replay(schedule, shape, 2).IsRight();

    ++(right ? harmless : harmful);
    if (right) continue;
    EXPECT_FALSE(VerifySchedule(schedule, shape, 2).ok())
        << ToString(stage.ops, shape.segments) << " with " << stage.slots << " slots";
  }
  EXPECT_GT(harmful, harmless);
  EXPECT_GT(harmless, 0);
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
