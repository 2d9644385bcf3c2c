#include "coordinator/decide.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cluster/counted.h"
#include "coordinator/planner.h"
#include "coordinator/state.h"

namespace carousel {
namespace {

const JobRecord* FirstInQueue(const CoordinatorState& state) {
  const JobRecord* first = nullptr;
  for (const JobRecord& job : state.jobs()) {
    if (!WaitsForPlan(job) || !MissingHolders(state, job).empty()) continue;
    if (first == nullptr || job.queue_number() < first->queue_number()) first = &job;
  }
  return first;
}

// A job that measures will want more workers in a moment; whoever stands behind it waits.
const JobRecord* Measuring(const CoordinatorState& state) {
  for (const JobRecord& job : state.jobs()) {
    if (IsActive(job.state()) && !job.measuring_worker().empty()) return &job;
  }
  return nullptr;
}

// With the ways out, if waiting for other jobs is none.
std::string LacksWorkers(const CoordinatorState& state, int needed) {
  const std::string needs = "needs " + Counted(needed, "worker");
  const int attached = AttachedForStages(state);
  if (attached == 0) {
    return absl::StrCat(needs, " and none is attached; start ",
                        needed == 1 ? "one" : absl::StrCat(needed));
  }
  const size_t free = FreeWorkers(state).size();
  const std::string has = absl::StrCat(needs, ", ", free, free == 1 ? " is" : " are", " free (of ",
                                       attached, " attached)");
  if (attached >= needed) return has;
  return absl::StrCat(has, "; start ", needed - attached,
                      " more, or resume it with pipeline.stages=", attached);
}

Event DecidePlan(const CoordinatorState& state, const JobRecord& job,
                 const std::vector<std::string>& free) {
  PlanRequest request;
  request.job = job.job();
  request.epoch = state.last_epoch() + 1;
  request.spec = job.spec();
  request.costs.assign(job.costs().begin(), job.costs().end());
  for (const std::string& id : free) {
    request.workers.push_back({id, state.workers().at(id).hello().address()});
  }
  Event event;
  absl::StatusOr<Plan> plan = MakePlan(request);
  if (plan.ok()) {
    *event.mutable_plan_decided()->mutable_plan() = *std::move(plan);
    event.mutable_plan_decided()->set_restore_step(CommittedStep(job));
  } else {
    event.mutable_plan_refused()->set_job(job.job());
    event.mutable_plan_refused()->set_reason(std::string(plan.status().message()));
  }
  return event;
}

}  // namespace

std::optional<Event> Decide(const CoordinatorState& state) {
  const JobRecord* job = FirstInQueue(state);
  if (job == nullptr || Measuring(state) != nullptr) return std::nullopt;
  const std::vector<std::string> free = FreeWorkers(state);
  if (static_cast<int>(free.size()) < WorkersNeeded(job->spec())) return std::nullopt;
  if (!job->costs().empty()) return DecidePlan(state, *job, free);
  Event event;
  event.mutable_measure_decided()->set_job(job->job());
  event.mutable_measure_decided()->set_epoch(state.last_epoch() + 1);
  event.mutable_measure_decided()->set_worker(free.front());
  return event;
}

std::string WaitsFor(const CoordinatorState& state, const JobRecord& job) {
  if (!WaitsForPlan(job)) return "";
  const std::string missing = MissingHolders(state, job);
  if (!missing.empty()) return "waits for " + missing + ", which hold its checkpoint";
  if (const JobRecord* measuring = Measuring(state)) {
    return absl::StrCat("waits until job ", measuring->job(), " is measured and has its workers");
  }
  const JobRecord* first = FirstInQueue(state);
  if (first != nullptr && first->job() != job.job()) {
    return absl::StrCat("waits behind job ", first->job());
  }
  return LacksWorkers(state, WorkersNeeded(job.spec()));
}

}  // namespace carousel
