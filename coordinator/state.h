// The coordinator as a fold: state = fold(Apply, journal). Apply is a pure function of state and
// event; it reads no clock, does no I/O and sends nothing. Everything that has to happen in the
// world comes back as effects, which the caller carries out in their order, after the event is
// durable. Killing the coordinator anywhere is then only a shorter journal.
//
// An event reaches the journal through one of two doors. Facts come from outside (a client asked, a
// worker joined, reported or was lost) and pass Check, which refuses what the state forbids and
// what belongs to an epoch that is over. Decisions come from Decide (decide.h), a pure function of
// the state.
//
// States of a job, and the only transitions (kLegalTransitions; README.md has the picture):
//
//   QUEUED      → STARTING   enough workers are free: measure costs, then install a plan
//               → PAUSED, CANCELLED   asked
//               → FAILED     no plan is possible, or no checkpoint verifies any more
//   STARTING    → RUNNING    every stage is installed
//               → PAUSED     asked; the coordinator was restarted; a worker is lost that holds a
//                            stage or shards to start from
//               → CANCELLED  asked
//               → FAILED     a stage failed, no plan is possible, no checkpoint can be restored
//   RUNNING     → PAUSING, CANCELLING   asked: the last stage decides the boundary
//               → PAUSED     a worker is lost; the coordinator was restarted
//               → FAILED     a stage failed, or a step was not finite
//               → DONE       the last step is committed
//   PAUSING     → PAUSED     every stage stopped and its step is committed; or as from RUNNING
//               → CANCELLING asked
//               → FAILED, DONE   as from RUNNING
//   CANCELLING  → CANCELLED  every stage stopped and its step is committed; a worker is lost…
//               → FAILED, DONE   as from RUNNING
//   PAUSED, CANCELLED, FAILED → QUEUED   resumed
//   PAUSED, FAILED            → CANCELLED   asked
//   DONE                      nothing
//
// A resume of a job that waits for its plan changes its wishes, not its state.
//
// Epochs: every measurement and every plan has its own, greater than all before it and durable with
// its event before a worker hears of it. A worker's message counts only under its job's epoch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "proto/coordinator.pb.h"
#include "proto/journal.pb.h"

namespace carousel {

extern const std::vector<std::pair<JobState, JobState>> kLegalTransitions;
bool IsLegalTransition(JobState from, JobState to);

// Commit a checkpoint whose stages have all prepared, then feed CheckpointCommitted in the same
// batch; feed StageFailed (stage -1) if it must not be committed.
struct CommitCheckpoint {
  std::string job;
  uint64_t epoch = 0;
  PreparedStep prepared;
};

// A message to an attached worker. To a session that is over it may be dropped.
struct SendToWorker {
  std::string worker;
  CoordinatorMessage message;
  int64_t restore_step = -1;  // of Install: whose manifest is still to be added as `restore`
};

using Effect = std::variant<CommitCheckpoint, SendToWorker>;
using Effects = std::vector<Effect>;  // in the order in which they happen

// May `event` be applied? OK, or
//   kAlreadyExists       its request was answered before: answer again, apply nothing
//   kInvalidArgument     its request id is empty or was used for another call; or a worker reports
//                        what cannot be
//   kNotFound            there is no such job
//   kFailedPrecondition  the job's state forbids it; the message says what to do
//   kAborted             it comes from an epoch, a session or a stage that is over: ignore it
absl::Status Check(const CoordinatorState& state, const Event& event);

// Applies an event that passed Check. Legal transitions only, by CHECK.
Effects Apply(const Event& event, CoordinatorState* state);

// --- reading the state ---

const JobRecord* FindJob(const CoordinatorState& state, std::string_view job);
const RequestRecord* FindRequest(const CoordinatorState& state, std::string_view request_id);

// Its stages hold workers: STARTING, RUNNING, PAUSING, CANCELLING.
bool IsActive(JobState state);
// Nothing will happen to it unless somebody asks: DONE, FAILED, CANCELLED, PAUSED.
bool IsAtRest(JobState state);
// On its way to a step boundary: PAUSING, CANCELLING.
bool IsStopping(JobState state);

// Waits for its plan: in the queue, or measured. No worker holds anything of it.
bool WaitsForPlan(const JobRecord& job);

// The newest committed step, -1 if there is none.
int64_t CommittedStep(const JobRecord& job);

// Does an active job measure on this worker or hold a stage there?
bool Uses(const JobRecord& job, std::string_view worker);
// Does a job that starts restore shards from this worker's store?
bool RestoresFrom(const JobRecord& job, std::string_view worker);
// The active job that uses it; nullptr: the worker is free.
const JobRecord* JobOf(const CoordinatorState& state, std::string_view worker);
// Workers that are attached and willing to take a stage.
int AttachedForStages(const CoordinatorState& state);
// Those of them that are free; by id.
std::vector<std::string> FreeWorkers(const CoordinatorState& state);

// Holders of the job's newest checkpoint that are not attached, with what they hold:
// "worker w2 (units 3-5)". Empty: all are, or there is no checkpoint.
std::string MissingHolders(const CoordinatorState& state, const JobRecord& job);

// The stage that `worker` holds in the job's plan; -1 if none.
int StageOf(const JobRecord& job, std::string_view worker);

// Request ids that are remembered. A call that is repeated after this many later ones counts as
// new: a repeated submission would be a second job.
inline constexpr int kRequestsKept = 4096;

}  // namespace carousel
