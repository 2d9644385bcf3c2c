// What clients ask of a job.

#include "absl/strings/str_cat.h"
#include "coordinator/fold.h"

namespace carousel {

void Fold::Do(const CoordinatorStarted&) {
  state_.clear_workers();
  state_.set_last_epoch(state_.last_epoch() + 1);
  for (JobRecord& job : *state_.mutable_jobs()) {
    if (IsActive(job.state())) {
      Rest(&job, PAUSED, "the coordinator was restarted" + FromWhere(job));
    }
  }
}

void Fold::Do(const JobSubmitted& event) {
  JobRecord* job = state_.add_jobs();
  state_.set_last_job_number(state_.last_job_number() + 1);
  job->set_job(event.job());
  job->set_state(QUEUED);
  job->set_submitted_at(wall_time_);
  Enqueue(job);
  *job->mutable_spec() = event.spec();
  job->set_contract_hash(event.contract_hash());
  job->set_restore_step(-1);
  Remember(event.request_id(), event.job(), Event::kJobSubmitted);
}

void Fold::Do(const PauseAsked& event) {
  JobRecord* job = Job(event.job());
  Remember(event.request_id(), event.job(), Event::kPauseAsked);
  if (job->state() == RUNNING) {
    SetState(job, PAUSING, "");
    SendBoundary(*job, /*stop=*/true);
  } else if (job->state() == QUEUED || job->state() == STARTING) {
    Rest(job, PAUSED, "paused before it ran" + FromWhere(*job));
  }
}

void Fold::Do(const CancelAsked& event) {
  JobRecord* job = Job(event.job());
  Remember(event.request_id(), event.job(), Event::kCancelAsked);
  if (job->state() == RUNNING) {
    SetState(job, CANCELLING, "");
    SendBoundary(*job, /*stop=*/true);
  } else if (job->state() == PAUSING) {
    SetState(job, CANCELLING, "");  // the boundary is on its way
  } else if (job->state() != CANCELLING && job->state() != CANCELLED) {
    // Why it was cut short is still what its owner has to know.
    Rest(job, CANCELLED,
         job->cut_short() ? "cancelled; " + job->reason() : "cancelled" + FromWhere(*job));
  }
}

void Fold::Do(const ResumeAsked& event) {
  JobRecord* job = Job(event.job());
  Remember(event.request_id(), event.job(), Event::kResumeAsked);
  if (!WaitsForPlan(*job)) {  // else it keeps its place
    SetState(job, QUEUED, "");
    Enqueue(job);
    job->set_cut_short(false);
  }
  JobSpec* spec = job->mutable_spec();
  *spec->mutable_pipeline() = event.pipeline();
  if (!event.dataset().empty()) spec->mutable_data()->set_dataset(event.dataset());
  if (event.has_checkpoint()) *spec->mutable_checkpoint() = event.checkpoint();
}

}  // namespace carousel
