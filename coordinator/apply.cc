// Where an event goes, and what several events do.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/check.h"
#include "coordinator/fold.h"

namespace carousel {

Effects Apply(const Event& event, CoordinatorState* state) { return Fold(state).Take(event); }

Effects Fold::Take(const Event& event) {
  wall_time_ = event.wall_time();
  Dispatch(event);
  return std::move(effects_);
}

void Fold::Dispatch(const Event& event) {
  switch (event.kind_case()) {
    case Event::kCoordinatorStarted:
      return Do(event.coordinator_started());
    case Event::kJobSubmitted:
      return Do(event.job_submitted());
    case Event::kPauseAsked:
      return Do(event.pause_asked());
    case Event::kCancelAsked:
      return Do(event.cancel_asked());
    case Event::kResumeAsked:
      return Do(event.resume_asked());
    case Event::kWorkerJoined:
      return Do(event.worker_joined());
    case Event::kWorkerLost:
      return Do(event.worker_lost());
    case Event::kMeasureDecided:
      return Do(event.measure_decided());
    case Event::kCostsMeasured:
      return Do(event.costs_measured());
    case Event::kPlanDecided:
      return Do(event.plan_decided());
    case Event::kPlanRefused:
      return Do(event.plan_refused());
    case Event::kStageInstalled:
      return Do(event.stage_installed());
    case Event::kCheckpointAsked:
      return Do(event.checkpoint_asked());
    case Event::kStagePrepared:
      return Do(event.stage_prepared());
    case Event::kCheckpointCommitted:
      return Do(event.checkpoint_committed());
    case Event::kCheckpointDamaged:
      return Do(event.checkpoint_damaged());
    case Event::kStageStopped:
      return Do(event.stage_stopped());
    case Event::kStageFailed:
      return Do(event.stage_failed());
    case Event::KIND_NOT_SET:
      CAROUSEL_CHECK(false);
  }
}

std::string FromWhere(const JobRecord& job) {
  const int64_t step = CommittedStep(job);
  return step < 0 ? "; no checkpoint yet" : absl::StrCat("; last committed step ", step);
}

void Fold::SetState(JobRecord* job, JobState next, std::string reason) {
  CAROUSEL_CHECK(IsLegalTransition(job->state(), next));
  job->set_state(next);
  job->set_reason(std::move(reason));
}

JobRecord* Fold::Job(const std::string& id) {
  for (JobRecord& job : *state_.mutable_jobs()) {
    if (job.job() == id) return &job;
  }
  CAROUSEL_CHECK(false);
  return nullptr;
}

void Fold::Enqueue(JobRecord* job) {
  int64_t last = 0;
  for (const JobRecord& other : state_.jobs()) last = std::max(last, other.queue_number());
  job->set_queue_number(last + 1);
}

void Fold::Remember(const std::string& request_id, const std::string& job, Event::KindCase kind) {
  RequestRecord* request = state_.add_requests();
  request->set_request_id(request_id);
  request->set_job(job);
  request->set_kind(kind);
  const int surplus = state_.requests_size() - kRequestsKept;
  if (surplus > 0) state_.mutable_requests()->DeleteSubrange(0, surplus);
}

void Fold::TakeEpoch(JobRecord* job, uint64_t epoch) {
  CAROUSEL_CHECK(epoch > state_.last_epoch());
  state_.set_last_epoch(epoch);
  job->set_epoch(epoch);
  Forget(job);
}

void Fold::Forget(JobRecord* job) {
  job->clear_measuring_worker();
  job->clear_installed();
  job->clear_prepared();
  job->clear_stopped();
  job->set_checkpoint_asked(false);
}

void Fold::DropStages(JobRecord* job) {
  for (const std::string& worker : Attached()) {
    if (!Uses(*job, worker)) continue;
    CoordinatorMessage message;
    message.mutable_drop()->set_job(job->job());
    message.mutable_drop()->set_epoch(job->epoch());
    Send(worker, std::move(message));
  }
  Forget(job);
}

namespace {

// Nothing that ran is lost: the stages stand at the newest checkpoint. All of them stop at one
// boundary, so one that says so speaks for all.
bool StoppedAtCommittedStep(const JobRecord& job) {
  const auto& stopped = job.stopped();
  return !stopped.empty() &&
         std::all_of(stopped.begin(), stopped.end(),
                     [&](const StoppedStage& stage) { return stage.step() == CommittedStep(job); });
}

}  // namespace

void Fold::Rest(JobRecord* job, JobState wanted, const std::string& reason) {
  const bool ran = IsActive(job->state()) && job->state() != STARTING;
  if (ran) job->set_cut_short(!StoppedAtCommittedStep(*job));
  DropStages(job);
  if (CommittedStep(*job) >= job->spec().steps()) {
    job->set_cut_short(false);
    SetState(job, DONE, "");
  } else if (job->state() == CANCELLING && wanted == PAUSED) {
    SetState(job, CANCELLED, reason);
  } else {
    SetState(job, wanted, reason);
  }
}

void Fold::FinishIfStopped(JobRecord* job) {
  if (job->stopped_size() < job->plan().stages_size()) return;
  const int64_t step = job->stopped(0).step();
  for (const StoppedStage& stopped : job->stopped()) {
    if (stopped.step() == step) continue;
    Rest(job, FAILED,
         absl::StrCat("stages stopped at different steps, ", step, " and ", stopped.step(),
                      FromWhere(*job)));
    return;
  }
  if (CommittedStep(*job) != step) return;
  if (job->state() == RUNNING) {
    Rest(job, FAILED, absl::StrCat("the stages stopped at step ", step, ", unasked"));
  } else {
    const bool pausing = job->state() == PAUSING;
    Rest(job, pausing ? PAUSED : CANCELLED,
         absl::StrCat(pausing ? "paused" : "cancelled", " at step ", step));
  }
}

std::vector<std::string> Fold::Attached() const {
  std::vector<std::string> ids;
  for (const auto& [id, worker] : state_.workers()) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

}  // namespace carousel
