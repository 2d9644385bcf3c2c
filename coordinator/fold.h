// One event on its way through the fold: the state it changes and the effects so far. Internal to
// Apply (state.h); the files follow the events' subjects:
//
//   apply.cc             which function an event goes to, and what several events do
//   apply_job.cc         what clients ask of a job
//   apply_run.cc         workers, plans, and the stages of a run
//   apply_checkpoint.cc  checkpoints, from Prepared to committed or damaged
//   apply_messages.cc    what workers are told
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "coordinator/state.h"

namespace carousel {

class Fold {
 public:
  explicit Fold(CoordinatorState* state) : state_(*state) {}

  // One event for one Fold.
  Effects Take(const Event& event);

 private:
  // --- one function an event ---
  void Do(const CoordinatorStarted&);
  void Do(const JobSubmitted& event);
  void Do(const PauseAsked& event);
  void Do(const CancelAsked& event);
  void Do(const ResumeAsked& event);
  void Do(const WorkerJoined& event);
  void Do(const WorkerLost& event);
  void Do(const MeasureDecided& event);
  void Do(const CostsMeasured& event);
  void Do(const PlanDecided& event);
  void Do(const PlanRefused& event);
  void Do(const StageInstalled& event);
  void Do(const StageStopped& event);
  void Do(const StageFailed& event);
  void Do(const CheckpointAsked& event);
  void Do(const StagePrepared& event);
  void Do(const CheckpointCommitted& event);
  void Do(const CheckpointDamaged& event);
  void Dispatch(const Event& event);

  // --- what several events do ---

  JobRecord* Job(const std::string& id);
  // Legal transitions only, by CHECK.
  void SetState(JobRecord* job, JobState next, std::string reason);
  // Its place behind all others.
  void Enqueue(JobRecord* job);
  void Remember(const std::string& request_id, const std::string& job, Event::KindCase kind);
  void TakeEpoch(JobRecord* job, uint64_t epoch);
  // What belonged to one epoch.
  void Forget(JobRecord* job);
  // Every worker of the epoch lets go.
  void DropStages(JobRecord* job);
  // Ends an epoch: every worker lets go, and the job rests as wanted; as DONE if its last step is
  // committed all the same, as CANCELLED if that was asked for. A run that did not stop at a
  // committed step is cut short; a job that did not run stays what it was.
  void Rest(JobRecord* job, JobState wanted, const std::string& reason);
  // A stop is complete when every stage stands at the same step and that step is committed.
  void FinishIfStopped(JobRecord* job);
  std::vector<std::string> Attached() const;  // by id

  // --- messages ---
  void Send(const std::string& worker, CoordinatorMessage message, int64_t restore_step = -1);
  void SendBoundary(const JobRecord& job, bool stop);
  void SendCommitted(const JobRecord& job, const std::string& worker, bool at_rest);
  void SendInstall(const JobRecord& job, int stage);

  CoordinatorState& state_;
  double wall_time_ = 0;
  Effects effects_;
};

// "; last committed step 40", for whoever reads why a job rests.
std::string FromWhere(const JobRecord& job);

}  // namespace carousel
