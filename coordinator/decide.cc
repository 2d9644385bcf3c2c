#include "coordinator/decide.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/planner.h"
#include "coordinator/state.h"

namespace carousel {
namespace {

// Waits for a plan: in the queue, or measured.
bool NeedsPlan(const JobRecord& job) {
  if (job.state() == QUEUED) return true;
  return job.state() == STARTING && job.measuring_worker().empty() &&
         job.plan().epoch() != job.epoch();
}

const JobRecord* FirstInQueue(const CoordinatorState& state) {
  const JobRecord* first = nullptr;
  for (const JobRecord& job : state.jobs()) {
    if (!NeedsPlan(job) || !MissingHolders(state, job).empty()) continue;
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
  if (!NeedsPlan(job)) return "";
  const std::string missing = MissingHolders(state, job);
  if (!missing.empty()) return "waits for " + missing + ", which hold its checkpoint";
  if (const JobRecord* measuring = Measuring(state)) {
    return absl::StrCat("waits until job ", measuring->job(), " is measured and has its workers");
  }
  const JobRecord* first = FirstInQueue(state);
  if (first != nullptr && first->job() != job.job()) {
    return absl::StrCat("waits behind job ", first->job());
  }
  const int needed = WorkersNeeded(job.spec());
  return absl::StrCat("waits for workers: needs ", needed, ", free are ",
                      FreeWorkers(state).size());
}

}  // namespace carousel
