#include "coordinator/verifier.h"

#include <map>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "cluster/status_macros.h"

namespace carousel {
namespace {

absl::Status Fault(int stage, const std::string& what) {
  return absl::InternalError(absl::StrCat("the plan is wrong at stage ", stage, ": ", what));
}

// Rules 1 to 5: one stage alone.
class StageProof {
 public:
  StageProof(const ScheduleShape& shape, int stage) : shape_(shape), stage_(stage) {}

  absl::Status Check(const StageSchedule& stage) {
    if (stage.slots < 1) return Fault(stage_, absl::StrCat(stage.slots, " slots"));
    for (const Op& op : stage.ops) {
      CAROUSEL_RETURN_IF_ERROR(CheckKnown(op));
      CAROUSEL_RETURN_IF_ERROR(CheckIsNext(op));
      CAROUSEL_RETURN_IF_ERROR(op.kind == FORWARD    ? CheckForward(op, stage.slots)
                               : op.kind == BACKWARD ? CheckBackward(op)
                                                     : CheckWeightGradient(op));
      ++done_[op.kind];
    }
    const size_t expected = size_t{3} * Total();
    if (stage.ops.size() == expected) return absl::OkStatus();
    return Fault(stage_, absl::StrCat(stage.ops.size(), " of ", expected, " operations"));
  }

 private:
  absl::Status FaultAt(const Op& op, const std::string& what) const {
    return Fault(stage_, ToString(op, shape_.segments) + " " + what);
  }

  int Total() const { return shape_.micro_batches * shape_.segments; }
  int Done(OpKind kind) const { return done_.at(kind); }
  // Have all of the first `count` micro-batches had their last W?
  bool Finished(int count) const { return Done(WEIGHT_GRADIENT) >= count * shape_.segments; }

  // The operation of a kind at `place` in the one order that it may have.
  Op At(OpKind kind, int place) const {
    const int segment = place % shape_.segments;
    return {kind, place / shape_.segments,
            kind == FORWARD ? segment : shape_.segments - 1 - segment};
  }

  absl::Status CheckKnown(const Op& op) const {
    if (done_.contains(op.kind) && op.micro_batch >= 0 && op.micro_batch < shape_.micro_batches &&
        op.segment >= 0 && op.segment < shape_.segments) {
      return absl::OkStatus();
    }
    return FaultAt(op, "is no operation of this step");
  }

  absl::Status CheckIsNext(const Op& op) const {
    if (Done(op.kind) == Total()) return FaultAt(op, "runs twice");
    const Op next = At(op.kind, Done(op.kind));
    if (op == next) return absl::OkStatus();
    return FaultAt(op, "runs where " + ToString(next, shape_.segments) + " is next");
  }

  absl::Status CheckForward(const Op& op, int slots) const {
    const int before = op.micro_batch - slots;  // which had the slot
    if (before < 0 || Finished(before + 1)) return absl::OkStatus();
    return FaultAt(op, absl::StrCat("overwrites micro-batch ", before, " in its slot (of ", slots,
                                    "), whose last W is still to run"));
  }

  absl::Status CheckBackward(const Op& op) const {
    const int forwards = op.micro_batch * shape_.segments + op.segment + 1;
    if (Done(FORWARD) < forwards) return FaultAt(op, "runs before its forward");
    if (Finished(op.micro_batch)) return absl::OkStatus();
    return FaultAt(op, absl::StrCat("overwrites the gradients of micro-batch ", op.micro_batch - 1,
                                    ", whose last W is still to run"));
  }

  absl::Status CheckWeightGradient(const Op& op) const {
    if (Done(BACKWARD) > Done(WEIGHT_GRADIENT)) return absl::OkStatus();
    return FaultAt(op, "runs before its backward");
  }

  const ScheduleShape& shape_;
  const int stage_;
  std::map<OpKind, int> done_ = {{FORWARD, 0}, {BACKWARD, 0}, {WEIGHT_GRADIENT, 0}};
};

}  // namespace

absl::Status VerifySchedule(const Schedule& schedule, const ScheduleShape& shape, int credits) {
  if (static_cast<int>(schedule.size()) != shape.stages || shape.stages < 1 ||
      shape.micro_batches < 1 || shape.segments < 1 || credits < 1) {
    return absl::InternalError(absl::StrCat("the plan is wrong: ", schedule.size(), " stages, ",
                                            shape.micro_batches, " micro-batches, ", shape.segments,
                                            " segments, ", credits, " credits"));
  }
  for (int k = 0; k < shape.stages; ++k) {
    CAROUSEL_RETURN_IF_ERROR(StageProof(shape, k).Check(schedule[k]));
  }
  const Timeline timeline =
      Play(schedule, shape.segments, std::vector<StageCost>(shape.stages), credits);
  if (!timeline.finished) {
    return absl::InternalError(
        absl::StrCat("the plan stands still with ", credits, " credits: ", timeline.standstill));
  }
  return absl::OkStatus();
}

Schedule ScheduleOf(const Plan& plan) {
  Schedule schedule;
  for (const StagePlan& stage : plan.stages()) {
    StageSchedule& out = schedule.emplace_back();
    out.slots = stage.slots();
    for (const StageOp& op : stage.ops()) {
      out.ops.push_back({op.kind(), op.micro_batch(), op.segment()});
    }
  }
  return schedule;
}

absl::Status VerifyPlan(const Plan& plan, int units) {
  std::set<std::string> workers;
  int unit = 0;
  for (int k = 0; k < plan.stages_size(); ++k) {
    const StagePlan& stage = plan.stages(k);
    if (stage.first_unit() != unit || stage.end_unit() <= unit) {
      return Fault(k, absl::StrCat("holds units ", stage.first_unit(), " to ", stage.end_unit(),
                                   " where ", unit, " is next"));
    }
    unit = stage.end_unit();
    if (!workers.insert(stage.worker()).second) {
      return Fault(k, absl::StrCat("worker ", stage.worker(), " has another stage already"));
    }
  }
  if (unit != units) {
    return absl::InternalError(absl::StrCat("the plan covers ", unit, " of ", units, " units"));
  }
  return VerifySchedule(ScheduleOf(plan),
                        {plan.stages_size(), plan.micro_batches(), plan.segments()},
                        plan.credits());
}

}  // namespace carousel
