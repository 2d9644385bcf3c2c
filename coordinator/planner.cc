#include "coordinator/planner.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "cluster/check.h"
#include "cluster/job/resolve.h"
#include "cluster/job/segments.h"
#include "cluster/status_macros.h"
#include "coordinator/partition.h"
#include "coordinator/schedule.h"
#include "coordinator/timeline.h"
#include "coordinator/verifier.h"

namespace carousel {
namespace {

int Chunks(const JobSpec& spec) {
  return static_cast<int>(
      ChunksPerSequence(spec.data().sequence_length(), spec.numerics().chunk_length()));
}

int Units(const JobSpec& spec) { return static_cast<int>(UnitCount(spec.model())); }

// The time of a segment follows its longest sibling: chunks are dealt out whole.
double Unevenness(int chunks, int segments) {
  const int longest = (chunks + segments - 1) / segments;
  return static_cast<double>(longest) * segments / chunks;
}

std::vector<StageCost> StageCosts(const std::vector<UnitCost>& costs, const Partition& partition,
                                  int chunks, int segments) {
  const double stretch = Unevenness(chunks, segments);
  std::vector<StageCost> stages;
  int unit = 0;
  for (int end : partition.end_unit) {
    StageCost stage = {.forward = 0, .backward = 0, .weight_gradient = 0};
    for (; unit < end; ++unit) {
      stage.forward += costs[unit].forward() * stretch;
      stage.backward += costs[unit].backward() * stretch;
      stage.weight_gradient += costs[unit].weight_gradient();
    }
    stage.overhead = kSegmentOverhead;
    stages.push_back(stage);
  }
  return stages;
}

struct Candidate {
  int segments = 1;
  Schedule schedule;
  Timeline timeline;
};

Candidate Try(const PlanRequest& request, ScheduleKind kind, const Partition& partition,
              int segments) {
  Candidate candidate;
  candidate.segments = segments;
  const int stages = static_cast<int>(partition.end_unit.size());
  candidate.schedule =
      MakeSchedule(kind, {stages, static_cast<int>(MicroBatches(request.spec)), segments});
  const std::vector<StageCost> costs =
      StageCosts(request.costs, partition, Chunks(request.spec), segments);
  candidate.timeline = Play(candidate.schedule, segments, costs, kCredits);
  return candidate;
}

// The wish, or the fastest; the fewest among equals.
Candidate ChooseSegments(const PlanRequest& request, ScheduleKind kind,
                         const Partition& partition) {
  const int wish = static_cast<int>(request.spec.pipeline().segments());
  if (wish > 0) return Try(request, kind, partition, wish);
  Candidate best = Try(request, kind, partition, 1);
  if (partition.end_unit.size() == 1) return best;  // no neighbour to keep busy
  const int fitting = static_cast<int>(kMaxStepSegments / MicroBatches(request.spec));
  const int most = std::min({Chunks(request.spec), kMaxChosenSegments, fitting});
  for (int segments = 2; segments <= most; ++segments) {
    Candidate candidate = Try(request, kind, partition, segments);
    if (candidate.timeline.seconds < best.timeline.seconds) best = std::move(candidate);
  }
  return best;
}

void WriteStages(const PlanRequest& request, const Partition& partition, const Schedule& schedule,
                 Plan* plan) {
  int unit = 0;
  for (size_t k = 0; k < schedule.size(); ++k) {
    StagePlan* stage = plan->add_stages();
    stage->set_first_unit(unit);
    unit = partition.end_unit[k];
    stage->set_end_unit(unit);
    stage->set_worker(request.workers[k].id);
    stage->set_address(request.workers[k].address);
    stage->set_slots(schedule[k].slots);
    for (const Op& op : schedule[k].ops) {
      StageOp* out = stage->add_ops();
      out->set_kind(op.kind);
      out->set_micro_batch(op.micro_batch);
      out->set_segment(op.segment);
    }
  }
}

}  // namespace

absl::Status CheckWishes(const JobSpec& spec) {
  const PipelineSpec& wishes = spec.pipeline();
  std::string faults;
  const auto fault = [&](const std::string& line) {
    faults += (faults.empty() ? "" : "\n") + line;
  };
  const int units = Units(spec), chunks = Chunks(spec);
  if (wishes.stages() < 0 || wishes.stages() > units) {
    fault(absl::StrCat(
        "pipeline.stages: ", wishes.stages(), " is not in 0..", units,
        " (a stage holds at least one of the ", units,
        " units: embedding, blocks, head); nearest that works: ", wishes.stages() < 0 ? 0 : units));
  }
  if (wishes.segments() < 0 || wishes.segments() > chunks) {
    fault(absl::StrCat("pipeline.segments: ", wishes.segments(), " is not in 0..", chunks,
                       " (a segment holds at least one of the ", chunks, " chunks of ",
                       spec.numerics().chunk_length(),
                       " tokens); nearest that works: ", wishes.segments() < 0 ? 0 : chunks));
  }
  const int64_t micro_batches = MicroBatches(spec);
  if (wishes.segments() <= chunks &&
      micro_batches > kMaxStepSegments / std::max<int64_t>(1, wishes.segments())) {
    fault(absl::StrCat("pipeline.segments: ", wishes.segments(), " segments times ", micro_batches,
                       " micro-batches (data.batch_size / numerics.micro_batch_size) are above the "
                       "limit of ",
                       kMaxStepSegments,
                       " to a step; nearest that works: ", kMaxStepSegments / micro_batches));
  }
  if (wishes.schedule() != SCHEDULE_KIND_UNSPECIFIED && wishes.schedule() != GPIPE &&
      wishes.schedule() != ONE_F_ONE_B) {
    fault(absl::StrCat("pipeline.schedule: ", static_cast<int>(wishes.schedule()),
                       " is unknown; use GPIPE or ONE_F_ONE_B"));
  }
  return faults.empty() ? absl::OkStatus() : absl::InvalidArgumentError(faults);
}

int WorkersNeeded(const JobSpec& spec) {
  return std::max(1, static_cast<int>(spec.pipeline().stages()));
}

absl::StatusOr<Plan> MakePlan(const PlanRequest& request) {
  const JobSpec& spec = request.spec;
  CAROUSEL_RETURN_IF_ERROR(CheckWishes(spec));
  const int units = Units(spec), available = static_cast<int>(request.workers.size());
  CAROUSEL_CHECK(static_cast<int>(request.costs.size()) == units);
  if (available < WorkersNeeded(spec)) {
    return absl::UnavailableError(absl::StrCat(
        "the job needs ", WorkersNeeded(spec), " workers and ", available,
        " are free: start more workers",
        available > 0 ? absl::StrCat(", or set pipeline.stages=", available) : std::string()));
  }
  const int stages = spec.pipeline().stages() > 0 ? static_cast<int>(spec.pipeline().stages())
                                                  : std::min(available, units);
  const ScheduleKind kind = spec.pipeline().schedule() == SCHEDULE_KIND_UNSPECIFIED
                                ? ONE_F_ONE_B
                                : spec.pipeline().schedule();
  std::vector<double> seconds;
  for (const UnitCost& cost : request.costs) {
    seconds.push_back(cost.forward() + cost.backward() + cost.weight_gradient());
  }
  CAROUSEL_ASSIGN_OR_RETURN(const Partition partition, MinMaxPartition(seconds, stages));
  const Candidate best = ChooseSegments(request, kind, partition);

  Plan plan;
  plan.set_job(request.job);
  plan.set_epoch(request.epoch);
  plan.set_schedule(kind);
  plan.set_micro_batches(static_cast<int>(MicroBatches(spec)));
  plan.set_segments(best.segments);
  plan.set_credits(kCredits);
  plan.set_predicted_bubble_ratio(best.timeline.bubble_ratio);
  plan.set_predicted_step_seconds(best.timeline.seconds);
  WriteStages(request, partition, best.schedule, &plan);
  CAROUSEL_RETURN_IF_ERROR(VerifyPlan(plan, units));
  return plan;
}

}  // namespace carousel
