// Workers come and go, a plan is made, its stages are installed, stop or fail.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "coordinator/fold.h"

namespace carousel {

void Fold::Do(const WorkerJoined& event) {
  WorkerRecord& worker = (*state_.mutable_workers())[event.hello().worker()];
  worker.set_session(event.session());
  *worker.mutable_hello() = event.hello();
  for (const JobRecord& job : state_.jobs()) {
    SendCommitted(job, event.hello().worker(), /*at_rest=*/true);  // it holds no stage yet
  }
}

void Fold::Do(const WorkerLost& event) {
  state_.mutable_workers()->erase(event.worker());
  for (JobRecord& job : *state_.mutable_jobs()) {
    const bool restores = RestoresFrom(job, event.worker());
    if (!restores && !Uses(job, event.worker())) continue;
    Rest(&job, PAUSED,
         absl::StrCat("worker ", event.worker(), " was lost (", event.reason(), ")",
                      restores ? " while shards were restored from it" : "", FromWhere(job)));
  }
}

void Fold::Do(const MeasureDecided& event) {
  JobRecord* job = Job(event.job());
  TakeEpoch(job, event.epoch());
  job->set_measuring_worker(event.worker());
  if (job->state() == QUEUED) SetState(job, STARTING, "");
  CoordinatorMessage message;
  message.mutable_measure()->set_job(job->job());
  message.mutable_measure()->set_epoch(event.epoch());
  *message.mutable_measure()->mutable_spec() = job->spec();
  Send(event.worker(), std::move(message));
}

void Fold::Do(const CostsMeasured& event) {
  JobRecord* job = Job(event.job());
  job->clear_measuring_worker();
  *job->mutable_costs() = event.units();
}

void Fold::Do(const PlanDecided& event) {
  const Plan& plan = event.plan();
  JobRecord* job = Job(plan.job());
  TakeEpoch(job, plan.epoch());
  *job->mutable_plan() = plan;
  job->set_restore_step(event.restore_step());
  if (job->state() == QUEUED) SetState(job, STARTING, "");
  for (int k = 0; k < plan.stages_size(); ++k) SendInstall(*job, k);
}

void Fold::Do(const PlanRefused& event) {
  JobRecord* job = Job(event.job());
  Rest(job, FAILED, event.reason());
}

void Fold::Do(const StageInstalled& event) {
  JobRecord* job = Job(event.job());
  job->add_installed(event.stage());
  std::sort(job->mutable_installed()->begin(), job->mutable_installed()->end());
  if (job->installed_size() < job->plan().stages_size()) return;
  SetState(job, RUNNING, "");
  for (const StagePlan& stage : job->plan().stages()) {
    CoordinatorMessage message;
    message.mutable_start()->set_job(job->job());
    message.mutable_start()->set_epoch(job->epoch());
    Send(stage.worker(), std::move(message));
  }
}

void Fold::Do(const StageStopped& event) {
  JobRecord* job = Job(event.job());
  StoppedStage* stopped = job->add_stopped();
  stopped->set_stage(event.stage());
  stopped->set_step(event.step());
  FinishIfStopped(job);
}

void Fold::Do(const StageFailed& event) {
  JobRecord* job = Job(event.job());
  const std::string where = event.stage() < 0
                                ? ""
                                : absl::StrCat("stage ", event.stage(), " (worker ",
                                               job->plan().stages(event.stage()).worker(), "): ");
  if (!event.lost_worker().empty()) {
    Rest(job, PAUSED,
         absl::StrCat("worker ", event.lost_worker(), " was lost (", where, event.reason(), ")",
                      FromWhere(*job)));
    return;
  }
  // Every stage learns of a step that is not finite: who reports it first is not to blame.
  const std::string step = absl::StrCat("step ", event.step(), " was not applied: ");
  Rest(job, FAILED, (event.non_finite() ? step : where) + event.reason() + FromWhere(*job));
}

}  // namespace carousel
