// What each event does to the state: one function an event.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/check.h"
#include "coordinator/state.h"

namespace carousel {
namespace {

void SetState(JobRecord* job, JobState next, std::string reason) {
  CAROUSEL_CHECK(IsLegalTransition(job->state(), next));
  job->set_state(next);
  job->set_reason(std::move(reason));
}

// "; last committed step 40", for whoever reads why a job rests.
std::string FromWhere(const JobRecord& job) {
  const int64_t step = CommittedStep(job);
  return step < 0 ? "; no checkpoint yet" : absl::StrCat("; last committed step ", step);
}

std::string Resumable(const JobRecord& job) {
  return absl::StrCat("; `carousel resume ", job.job(), "` continues");
}

// Applies one event: holds the state and the effects so far, so that each function below reads as
// what happens.
class Step {
 public:
  explicit Step(CoordinatorState* state) : state_(*state) {}

  Effects Take(const Event& event) {
    Dispatch(event);
    return std::move(effects_);
  }

 private:
  void Dispatch(const Event& event);

  void Do(const CoordinatorStarted&) {
    state_.clear_workers();
    state_.set_last_epoch(state_.last_epoch() + 1);
    for (JobRecord& job : *state_.mutable_jobs()) {
      if (IsActive(job.state())) {
        Rest(&job, PAUSED, "the coordinator was restarted" + FromWhere(job) + Resumable(job));
      }
    }
  }

  void Do(const JobSubmitted& event) {
    JobRecord* job = state_.add_jobs();
    state_.set_last_job_number(state_.last_job_number() + 1);
    job->set_job(event.job());
    job->set_state(QUEUED);
    job->set_submitted_at(wall_time_);
    job->set_queue_number(NextQueueNumber());
    *job->mutable_spec() = event.spec();
    job->set_contract_hash(event.contract_hash());
    job->set_restore_step(-1);
    Remember(event.request_id(), event.job(), Event::kJobSubmitted);
  }

  void Do(const PauseAsked& event) {
    JobRecord* job = Job(event.job());
    Remember(event.request_id(), event.job(), Event::kPauseAsked);
    if (job->state() == RUNNING) {
      SetState(job, PAUSING, "");
      SendBoundary(*job, /*stop=*/true);
    } else if (job->state() == QUEUED || job->state() == STARTING) {
      Rest(job, PAUSED, "paused before it ran" + FromWhere(*job));
    }
  }

  void Do(const CancelAsked& event) {
    JobRecord* job = Job(event.job());
    Remember(event.request_id(), event.job(), Event::kCancelAsked);
    if (job->state() == RUNNING) {
      SetState(job, CANCELLING, "");
      SendBoundary(*job, /*stop=*/true);
    } else if (job->state() == PAUSING) {
      SetState(job, CANCELLING, "");  // the boundary is on its way
    } else if (job->state() != CANCELLING && job->state() != CANCELLED) {
      Rest(job, CANCELLED, "cancelled" + FromWhere(*job));
    }
  }

  void Do(const ResumeAsked& event) {
    JobRecord* job = Job(event.job());
    Remember(event.request_id(), event.job(), Event::kResumeAsked);
    SetState(job, QUEUED, "");
    job->set_queue_number(NextQueueNumber());
    *job->mutable_spec()->mutable_pipeline() = event.pipeline();
  }

  void Do(const WorkerJoined& event) {
    WorkerRecord& worker = (*state_.mutable_workers())[event.hello().worker()];
    worker.set_session(event.session());
    *worker.mutable_hello() = event.hello();
    for (const JobRecord& job : state_.jobs()) {
      if (!job.checkpoints().empty()) SendCommitted(job, event.hello().worker());
    }
  }

  void Do(const WorkerLost& event) {
    state_.mutable_workers()->erase(event.worker());
    for (JobRecord& job : *state_.mutable_jobs()) {
      if (!Uses(job, event.worker())) continue;
      Rest(&job, PAUSED,
           absl::StrCat("worker ", event.worker(), " was lost (", event.reason(), ")",
                        FromWhere(job), Resumable(job)));
    }
  }

  void Do(const MeasureDecided& event) {
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

  void Do(const CostsMeasured& event) {
    JobRecord* job = Job(event.job());
    job->clear_measuring_worker();
    *job->mutable_costs() = event.units();
  }

  void Do(const PlanDecided& event) {
    const Plan& plan = event.plan();
    JobRecord* job = Job(plan.job());
    TakeEpoch(job, plan.epoch());
    *job->mutable_plan() = plan;
    job->set_restore_step(event.restore_step());
    if (job->state() == QUEUED) SetState(job, STARTING, "");
    for (int k = 0; k < plan.stages_size(); ++k) SendInstall(*job, k);
  }

  void Do(const PlanRefused& event) {
    JobRecord* job = Job(event.job());
    Rest(job, FAILED, event.reason());
  }

  void Do(const StageInstalled& event) {
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

  void Do(const CheckpointAsked& event) {
    JobRecord* job = Job(event.job());
    job->set_checkpoint_asked(true);
    SendBoundary(*job, /*stop=*/false);
  }

  void Do(const StagePrepared& event) {
    JobRecord* job = Job(event.job());
    PreparedStep* prepared = Prepared(job, event.step());
    prepared->add_stages(event.stage());
    std::sort(prepared->mutable_stages()->begin(), prepared->mutable_stages()->end());
    prepared->mutable_shards()->MergeFrom(event.shards());
    std::sort(prepared->mutable_shards()->begin(), prepared->mutable_shards()->end(),
              [](const ShardRef& a, const ShardRef& b) { return a.unit() < b.unit(); });
    if (event.has_cursor()) *prepared->mutable_cursor() = event.cursor();
    if (prepared->stages_size() == job->plan().stages_size()) {
      effects_.push_back(CommitCheckpoint{job->job(), job->epoch(), *prepared});
    }
  }

  void Do(const CheckpointCommitted& event) {
    JobRecord* job = Job(event.job());
    *job->add_checkpoints() = event.checkpoint();
    const int kept = std::max<int>(2, job->spec().checkpoint().keep());
    if (job->checkpoints_size() > kept) {
      job->mutable_checkpoints()->DeleteSubrange(0, job->checkpoints_size() - kept);
    }
    ForgetPrepared(job, event.checkpoint().step());
    job->set_checkpoint_asked(false);
    for (const std::string& worker : Attached()) SendCommitted(*job, worker);
    FinishIfStopped(job);
  }

  void Do(const CheckpointDamaged& event) { Job(event.job())->mutable_checkpoints()->RemoveLast(); }

  void Do(const StageStopped& event) {
    JobRecord* job = Job(event.job());
    StoppedStage* stopped = job->add_stopped();
    stopped->set_stage(event.stage());
    stopped->set_step(event.step());
    FinishIfStopped(job);
  }

  void Do(const StageFailed& event) {
    JobRecord* job = Job(event.job());
    const std::string where = event.stage() < 0
                                  ? ""
                                  : absl::StrCat("stage ", event.stage(), " (worker ",
                                                 job->plan().stages(event.stage()).worker(), "): ");
    if (!event.lost_worker().empty()) {
      Rest(job, PAUSED,
           absl::StrCat("worker ", event.lost_worker(), " was lost (", where, event.reason(), ")",
                        FromWhere(*job), Resumable(*job)));
      return;
    }
    // Every stage learns of a step that is not finite: who reports it first is not to blame.
    const std::string step = absl::StrCat("step ", event.step(), " was not applied: ");
    Rest(job, FAILED, (event.non_finite() ? step : where) + event.reason() + FromWhere(*job));
  }

  // --- what several events do ---

  JobRecord* Job(const std::string& id) {
    for (JobRecord& job : *state_.mutable_jobs()) {
      if (job.job() == id) return &job;
    }
    CAROUSEL_CHECK(false);
    return nullptr;
  }

  int64_t NextQueueNumber() const {
    int64_t last = 0;
    for (const JobRecord& job : state_.jobs()) last = std::max(last, job.queue_number());
    return last + 1;
  }

  void Remember(const std::string& request_id, const std::string& job, Event::KindCase kind) {
    RequestRecord* request = state_.add_requests();
    request->set_request_id(request_id);
    request->set_job(job);
    request->set_kind(kind);
    const int surplus = state_.requests_size() - kRequestsKept;
    if (surplus > 0) state_.mutable_requests()->DeleteSubrange(0, surplus);
  }

  void TakeEpoch(JobRecord* job, uint64_t epoch) {
    CAROUSEL_CHECK(epoch > state_.last_epoch());
    state_.set_last_epoch(epoch);
    job->set_epoch(epoch);
    Forget(job);
  }

  // What belonged to one epoch.
  void Forget(JobRecord* job) {
    job->clear_measuring_worker();
    job->clear_installed();
    job->clear_prepared();
    job->clear_stopped();
    job->set_checkpoint_asked(false);
  }

  // Ends an epoch: every worker lets go, and the job rests as wanted; as DONE if its last step is
  // committed all the same, as CANCELLED if that was asked for.
  void Rest(JobRecord* job, JobState wanted, const std::string& reason) {
    for (const std::string& worker : Attached()) {
      if (!Uses(*job, worker)) continue;
      CoordinatorMessage message;
      message.mutable_drop()->set_job(job->job());
      message.mutable_drop()->set_epoch(job->epoch());
      Send(worker, std::move(message));
    }
    Forget(job);
    if (CommittedStep(*job) >= job->spec().steps()) {
      SetState(job, DONE, "");
    } else if (job->state() == CANCELLING && wanted == PAUSED) {
      SetState(job, CANCELLED, reason);
    } else {
      SetState(job, wanted, reason);
    }
  }

  // A stop is complete when every stage stands at the same step and that step is committed.
  void FinishIfStopped(JobRecord* job) {
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

  PreparedStep* Prepared(JobRecord* job, int64_t step) {
    for (PreparedStep& prepared : *job->mutable_prepared()) {
      if (prepared.step() == step) return &prepared;
    }
    PreparedStep* prepared = job->add_prepared();
    prepared->set_step(step);
    return prepared;
  }

  void ForgetPrepared(JobRecord* job, int64_t up_to_step) {
    auto* prepared = job->mutable_prepared();
    prepared->erase(std::remove_if(prepared->begin(), prepared->end(),
                                   [&](const PreparedStep& p) { return p.step() <= up_to_step; }),
                    prepared->end());
  }

  std::vector<std::string> Attached() const {
    std::vector<std::string> ids;
    for (const auto& [id, worker] : state_.workers()) ids.push_back(id);
    std::sort(ids.begin(), ids.end());
    return ids;
  }

  // --- messages ---

  void Send(const std::string& worker, CoordinatorMessage message, int64_t restore_step = -1) {
    effects_.push_back(SendToWorker{worker, std::move(message), restore_step});
  }

  void SendBoundary(const JobRecord& job, bool stop) {
    CoordinatorMessage message;
    Boundary* boundary = message.mutable_boundary();
    boundary->set_job(job.job());
    boundary->set_epoch(job.epoch());
    boundary->set_checkpoint(true);
    boundary->set_stop(stop);
    Send(job.plan().stages(job.plan().stages_size() - 1).worker(), std::move(message));
  }

  void SendCommitted(const JobRecord& job, const std::string& worker) {
    CoordinatorMessage message;
    Committed* committed = message.mutable_committed();
    committed->set_job(job.job());
    committed->set_step(CommittedStep(job));
    for (const CheckpointRecord& kept : job.checkpoints()) committed->add_kept(kept.step());
    Send(worker, std::move(message));
  }

  void SendInstall(const JobRecord& job, int stage) {
    CoordinatorMessage message;
    Install* install = message.mutable_install();
    *install->mutable_plan() = job.plan();
    install->set_stage(stage);
    *install->mutable_spec() = job.spec();
    if (job.restore_step() >= 0) {
      std::vector<std::string> holders;
      for (const ShardRef& shard : job.checkpoints(job.checkpoints_size() - 1).shards()) {
        holders.push_back(shard.holder());
      }
      std::sort(holders.begin(), holders.end());
      holders.erase(std::unique(holders.begin(), holders.end()), holders.end());
      for (const std::string& id : holders) {
        Holder* holder = install->add_holders();
        holder->set_worker(id);
        holder->set_address(state_.workers().at(id).hello().address());
      }
    }
    Send(job.plan().stages(stage).worker(), std::move(message), job.restore_step());
  }

  CoordinatorState& state_;
  double wall_time_ = 0;
  Effects effects_;
};

void Step::Dispatch(const Event& event) {
  wall_time_ = event.wall_time();
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

}  // namespace

Effects Apply(const Event& event, CoordinatorState* state) { return Step(state).Take(event); }

}  // namespace carousel
