#include "coordinator/verifier.h"

#include <set>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "cluster/status_macros.h"

namespace carousel {
namespace {

absl::Status Fault(int stage, const std::string& what) {
  return absl::InternalError(absl::StrCat("the plan is wrong at stage ", stage, ": ", what));
}

// Rules 1 to 3 and 5 look at one stage alone.
class StageProof {
 public:
  StageProof(const ScheduleShape& shape, int stage) : shape_(shape), stage_(stage) {}

  absl::Status Check(const StageSchedule& stage) {
    for (const Op& op : stage.ops) {
      CAROUSEL_RETURN_IF_ERROR(CheckKnown(op));
      CAROUSEL_RETURN_IF_ERROR(CheckOrder(op));
      if (!done_.insert(op).second) return FaultAt(op, "runs twice");
    }
    const size_t expected = size_t{3} * shape_.micro_batches * shape_.segments;
    if (done_.size() != expected) {
      return Fault(stage_, absl::StrCat(done_.size(), " of ", expected, " operations"));
    }
    const int needed = SlotsNeeded(stage.ops, shape_.segments);
    if (stage.slots < needed) {
      return Fault(stage_, absl::StrCat(stage.slots, " slots for ", needed, " micro-batches"));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status FaultAt(const Op& op, std::string_view what) const {
    return Fault(stage_, ToString(op, shape_.segments) + " " + std::string(what));
  }

  bool Done(OpKind kind, int micro_batch, int segment) const {
    return done_.contains({kind, micro_batch, segment});
  }

  absl::Status CheckKnown(const Op& op) const {
    const bool known = op.kind == FORWARD || op.kind == BACKWARD || op.kind == WEIGHT_GRADIENT;
    if (!known || op.micro_batch < 0 || op.micro_batch >= shape_.micro_batches || op.segment < 0 ||
        op.segment >= shape_.segments) {
      return FaultAt(op, "is no operation of this step");
    }
    return absl::OkStatus();
  }

  absl::Status CheckOrder(const Op& op) {
    const auto [kind, micro_batch, segment] = op;
    switch (kind) {
      case FORWARD:
        if (segment > 0 && !Done(FORWARD, micro_batch, segment - 1)) {
          return FaultAt(op, "runs before the segment whose state it carries on");
        }
        return absl::OkStatus();
      case BACKWARD:
        if (!Done(FORWARD, micro_batch, segment)) return FaultAt(op, "runs before its forward");
        if (segment + 1 < shape_.segments && !Done(BACKWARD, micro_batch, segment + 1)) {
          return FaultAt(op, "runs before the segment whose state gradient it carries on");
        }
        return absl::OkStatus();
      default:
        return CheckWeightGradient(op);
    }
  }

  absl::Status CheckWeightGradient(const Op& op) {
    if (!Done(BACKWARD, op.micro_batch, op.segment)) return FaultAt(op, "runs before its backward");
    const int place = op.micro_batch * shape_.segments + shape_.segments - 1 - op.segment;
    if (place != weight_gradients_) return FaultAt(op, "is not next in the order of the sums");
    ++weight_gradients_;
    return absl::OkStatus();
  }

  const ScheduleShape& shape_;
  const int stage_;
  std::set<Op> done_;
  int weight_gradients_ = 0;
};

// Rule 4: what `kind` operations of two neighbours run on, in order.
absl::Status CheckSameOrder(const Schedule& schedule, int sender, int receiver, OpKind kind,
                            int segments) {
  const auto of_kind = [&](int stage) {
    std::vector<Op> ops;
    for (const Op& op : schedule[stage].ops) {
      if (op.kind == kind) ops.push_back(op);
    }
    return ops;
  };
  const std::vector<Op> sent = of_kind(sender), read = of_kind(receiver);
  for (size_t i = 0; i < sent.size() && i < read.size(); ++i) {
    if (sent[i] == read[i]) continue;
    return Fault(receiver, absl::StrCat("reads ", ToString(read[i], segments), " where stage ",
                                        sender, " sends ", ToString(sent[i], segments)));
  }
  return absl::OkStatus();
}

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
  for (int k = 0; k + 1 < shape.stages; ++k) {
    CAROUSEL_RETURN_IF_ERROR(CheckSameOrder(schedule, k, k + 1, FORWARD, shape.segments));
    CAROUSEL_RETURN_IF_ERROR(CheckSameOrder(schedule, k + 1, k, BACKWARD, shape.segments));
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
