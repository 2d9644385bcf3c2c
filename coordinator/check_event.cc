// What may happen: which events the state allows. What they do is in apply.cc.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "cluster/job/resolve.h"
#include "cluster/status_macros.h"
#include "coordinator/planner.h"
#include "coordinator/state.h"

namespace carousel {
namespace {

absl::Status Over(const std::string& what) { return absl::AbortedError(what + " is over"); }

absl::StatusOr<const JobRecord*> GetJob(const CoordinatorState& state, const std::string& id) {
  const JobRecord* job = FindJob(state, id);
  if (job != nullptr) return job;
  return absl::NotFoundError(
      absl::StrCat("there is no job '", id, "'; `carousel get jobs` lists them"));
}

absl::Status CheckRequest(const CoordinatorState& state, const std::string& request_id,
                          const std::string& job, Event::KindCase kind) {
  if (request_id.empty()) {
    return absl::InvalidArgumentError(
        "request_id: is empty; choose one (a UUID), so that the call can be repeated safely");
  }
  const RequestRecord* request = FindRequest(state, request_id);
  if (request == nullptr) return absl::OkStatus();
  if (request->kind() != kind || (kind != Event::kJobSubmitted && request->job() != job)) {
    return absl::InvalidArgumentError(
        absl::StrCat("request_id: '", request_id, "' was used for another call; choose a new one"));
  }
  return absl::AlreadyExistsError(request->job());
}

absl::Status Forbidden(const JobRecord& job, std::string_view what) {
  return absl::FailedPreconditionError(
      absl::StrCat("job ", job.job(), " is ", JobState_Name(job.state()), ": ", std::string(what)));
}

absl::Status CheckPause(const JobRecord& job) {
  switch (job.state()) {
    case DONE:
      return Forbidden(job, "there is nothing left to pause");
    case FAILED:
    case CANCELLED:
      return Forbidden(job, "it does not run; a resume starts it again");
    case CANCELLING:
      return Forbidden(job, "it is about to stop; it can be resumed afterwards");
    default:
      return absl::OkStatus();
  }
}

absl::Status CheckResume(const CoordinatorState& state, const JobRecord& job,
                         const ResumeAsked& event) {
  const bool waits = WaitsForPlan(job);
  if (job.state() == DONE) {
    return Forbidden(job, "all its steps are done; to train longer, submit a job of more steps");
  }
  if (job.state() == PAUSING || job.state() == CANCELLING) {
    return Forbidden(job, "wait until it has stopped, then resume it");
  }
  if (!job.measuring_worker().empty() && IsActive(job.state())) {
    return Forbidden(job,
                     "its units are being measured, which takes a moment; to give it other wishes, "
                     "pause it first");
  }
  if (!waits && !IsAtRest(job.state())) {
    return Forbidden(job, "it need not be resumed; to give it other wishes, pause it first");
  }
  if (job.spec().numerics().kernel_version() != kKernelVersion) {
    return Forbidden(job, absl::StrCat("its contract has numerics.kernel_version ",
                                       job.spec().numerics().kernel_version(),
                                       " and this build computes version ", kKernelVersion,
                                       "; resume it with the build that it was submitted to"));
  }
  const std::string missing = MissingHolders(state, job);
  if (!waits && !missing.empty()) {
    return Forbidden(job,
                     absl::StrCat("its checkpoint of step ", CommittedStep(job),
                                  " lies in stores that are not attached: ", missing,
                                  "; start these workers on their state folders, then resume"));
  }
  if (!event.dataset().empty() && !job.spec().data().has_dataset()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "dataset: job ", job.job(), " trains on synthetic data; leave the field empty"));
  }
  JobSpec spec = job.spec();
  *spec.mutable_pipeline() = event.pipeline();
  return CheckWishes(spec);
}

absl::Status CheckOne(const CoordinatorState& state, const WorkerJoined& event) {
  const Hello& hello = event.hello();
  if (hello.worker().empty()) return absl::InvalidArgumentError("hello.worker: is empty");
  if (hello.address().empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("hello.address: is empty; where does worker ", hello.worker(), " listen?"));
  }
  if (!state.workers().contains(hello.worker())) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("worker ", hello.worker(), " is attached already"));
}

absl::Status CheckOne(const CoordinatorState& state, const WorkerLost& lost) {
  const auto worker = state.workers().find(lost.worker());
  if (worker == state.workers().end() || worker->second.session() != lost.session()) {
    return Over(absl::StrCat("session ", lost.session(), " of worker ", lost.worker()));
  }
  return absl::OkStatus();
}

// The active job of `epoch`.
absl::StatusOr<const JobRecord*> Current(const CoordinatorState& state, const std::string& id,
                                         uint64_t epoch) {
  const JobRecord* job = FindJob(state, id);
  if (job == nullptr || !IsActive(job->state()) || job->epoch() != epoch) {
    return Over(absl::StrCat("epoch ", epoch, " of job ", id));
  }
  return job;
}

// The active job whose plan of `epoch` has `stage`.
absl::StatusOr<const JobRecord*> CurrentStage(const CoordinatorState& state, const std::string& id,
                                              uint64_t epoch, int stage) {
  CAROUSEL_ASSIGN_OR_RETURN(const JobRecord* job, Current(state, id, epoch));
  if (job->plan().epoch() != epoch || stage < 0 || stage >= job->plan().stages_size()) {
    return Over(absl::StrCat("stage ", stage, " of job ", id));
  }
  return job;
}

// No micro-batch of one unit takes longer: about eleven days.
constexpr double kMostUnitSeconds = 1e6;

absl::Status CheckOne(const CoordinatorState& state, const CostsMeasured& measured) {
  CAROUSEL_ASSIGN_OR_RETURN(const JobRecord* job, Current(state, measured.job(), measured.epoch()));
  if (job->measuring_worker().empty()) return Over("the measurement");
  const int units = static_cast<int>(UnitCount(job->spec().model()));
  if (measured.units_size() != units) {
    return absl::InvalidArgumentError(absl::StrCat("worker ", job->measuring_worker(), " measured ",
                                                   measured.units_size(), " of ", units, " units"));
  }
  for (int i = 0; i < units; ++i) {
    const UnitCost& cost = measured.units(i);
    for (double seconds : {cost.forward(), cost.backward(), cost.weight_gradient()}) {
      if (seconds >= 0 && seconds <= kMostUnitSeconds) continue;
      return absl::InvalidArgumentError(absl::StrCat("worker ", job->measuring_worker(),
                                                     " measured ", seconds, " s for unit ", i));
    }
  }
  return absl::OkStatus();
}

// Of a worker's report.
absl::Status CheckStep(const JobRecord& job, const std::string& worker, std::string_view doing,
                       int64_t step) {
  if (step >= 1 && step <= job.spec().steps()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("worker ", worker, " ", std::string(doing),
                                                 " step ", step, " of a job of ",
                                                 job.spec().steps(), " steps"));
}

absl::Status CheckOne(const CoordinatorState& state, const StagePrepared& event) {
  CAROUSEL_ASSIGN_OR_RETURN(const JobRecord* job,
                            CurrentStage(state, event.job(), event.epoch(), event.stage()));
  const StagePlan& stage = job->plan().stages(event.stage());
  CAROUSEL_RETURN_IF_ERROR(CheckStep(*job, stage.worker(), "prepared", event.step()));
  if (job->state() == STARTING || event.step() <= CommittedStep(*job)) {
    return Over(absl::StrCat("the checkpoint of step ", event.step()));
  }
  const auto wrong = [&](const std::string& what) {
    return absl::InvalidArgumentError(
        absl::StrCat("worker ", stage.worker(), " prepared step ", event.step(), " with ", what));
  };
  const int64_t sequences = event.step() * job->spec().data().batch_size();
  if (event.has_cursor() &&
      (event.cursor().step() != event.step() || event.cursor().sequences() != sequences)) {
    return wrong(absl::StrCat("a data cursor of step ", event.cursor().step(), " after ",
                              event.cursor().sequences(), " sequences instead of ", sequences));
  }
  if (event.shards_size() != stage.end_unit() - stage.first_unit()) {
    return wrong(absl::StrCat(event.shards_size(), " shards for units ", stage.first_unit(), "-",
                              stage.end_unit() - 1));
  }
  for (int i = 0; i < event.shards_size(); ++i) {
    const int expected = stage.first_unit() + i;
    if (event.shards(i).unit() == static_cast<uint32_t>(expected)) continue;
    return wrong(absl::StrCat("unit ", event.shards(i).unit(), " where ", expected, " is next"));
  }
  for (const PreparedStep& prepared : job->prepared()) {
    if (prepared.step() != event.step()) continue;
    if (std::count(prepared.stages().begin(), prepared.stages().end(), event.stage()) > 0) {
      return Over("what is prepared twice");
    }
    if (event.has_cursor() && prepared.has_cursor() &&
        event.cursor().SerializeAsString() != prepared.cursor().SerializeAsString()) {
      return wrong("another data cursor than its neighbours");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckOne(const CoordinatorState& state, const StageStopped& event) {
  CAROUSEL_ASSIGN_OR_RETURN(const JobRecord* job,
                            CurrentStage(state, event.job(), event.epoch(), event.stage()));
  CAROUSEL_RETURN_IF_ERROR(
      CheckStep(*job, job->plan().stages(event.stage()).worker(), "stopped after", event.step()));
  for (const StoppedStage& stopped : job->stopped()) {
    if (stopped.stage() == event.stage()) return Over("what stopped twice");
  }
  return job->state() == STARTING ? Over("a run before it started") : absl::OkStatus();
}

absl::Status CheckOne(const CoordinatorState& state, const StageInstalled& event) {
  CAROUSEL_ASSIGN_OR_RETURN(const JobRecord* job,
                            CurrentStage(state, event.job(), event.epoch(), event.stage()));
  const auto& installed = job->installed();
  if (job->state() != STARTING ||
      std::count(installed.begin(), installed.end(), event.stage()) > 0) {
    return Over("an installation");
  }
  return absl::OkStatus();
}

absl::Status CheckOne(const CoordinatorState& state, const CheckpointDamaged& event) {
  CAROUSEL_ASSIGN_OR_RETURN(const JobRecord* job, GetJob(state, event.job()));
  const bool starts = job->state() == QUEUED || job->state() == STARTING;
  if (starts && event.step() >= 0 && CommittedStep(*job) == event.step()) return absl::OkStatus();
  return Over(absl::StrCat("the checkpoint of step ", event.step()));
}

// The request and its job.
template <typename Asked>
absl::Status CheckAsked(const CoordinatorState& state, const Asked& asked, Event::KindCase kind) {
  CAROUSEL_RETURN_IF_ERROR(CheckRequest(state, asked.request_id(), asked.job(), kind));
  return GetJob(state, asked.job()).status();
}

absl::Status CheckOne(const CoordinatorState& state, const JobSubmitted& event) {
  const absl::Status status =
      CheckRequest(state, event.request_id(), event.job(), Event::kJobSubmitted);
  if (status.ok()) return CheckWishes(event.spec());
  if (!absl::IsAlreadyExists(status)) return status;
  const JobRecord& job = *FindJob(state, FindRequest(state, event.request_id())->job());
  if (job.contract_hash() == event.contract_hash()) return status;
  return absl::InvalidArgumentError(absl::StrCat("request_id: '", event.request_id(),
                                                 "' was used for job ", job.job(),
                                                 ", which has another contract; choose a new one"));
}

absl::Status CheckOne(const CoordinatorState& state, const PauseAsked& event) {
  CAROUSEL_RETURN_IF_ERROR(CheckAsked(state, event, Event::kPauseAsked));
  return CheckPause(*FindJob(state, event.job()));
}

absl::Status CheckOne(const CoordinatorState& state, const CancelAsked& event) {
  CAROUSEL_RETURN_IF_ERROR(CheckAsked(state, event, Event::kCancelAsked));
  const JobRecord& job = *FindJob(state, event.job());
  if (job.state() == DONE) return Forbidden(job, "there is nothing left to cancel");
  return absl::OkStatus();
}

absl::Status CheckOne(const CoordinatorState& state, const ResumeAsked& event) {
  CAROUSEL_RETURN_IF_ERROR(CheckAsked(state, event, Event::kResumeAsked));
  return CheckResume(state, *FindJob(state, event.job()), event);
}

absl::Status CheckOne(const CoordinatorState& state, const CheckpointCommitted& event) {
  return Current(state, event.job(), event.epoch()).status();
}

absl::Status CheckOne(const CoordinatorState& state, const StageFailed& event) {
  if (event.stage() < 0) return Current(state, event.job(), event.epoch()).status();
  return CurrentStage(state, event.job(), event.epoch(), event.stage()).status();
}

absl::Status CheckOne(const CoordinatorState& state, const CheckpointAsked& event) {
  CAROUSEL_ASSIGN_OR_RETURN(const JobRecord* job, Current(state, event.job(), event.epoch()));
  if (job->state() == RUNNING && !job->checkpoint_asked()) return absl::OkStatus();
  return absl::AbortedError("a checkpoint is under way");
}

}  // namespace

absl::Status Check(const CoordinatorState& state, const Event& event) {
  switch (event.kind_case()) {
    case Event::kJobSubmitted:
      return CheckOne(state, event.job_submitted());
    case Event::kPauseAsked:
      return CheckOne(state, event.pause_asked());
    case Event::kCancelAsked:
      return CheckOne(state, event.cancel_asked());
    case Event::kResumeAsked:
      return CheckOne(state, event.resume_asked());
    case Event::kWorkerJoined:
      return CheckOne(state, event.worker_joined());
    case Event::kWorkerLost:
      return CheckOne(state, event.worker_lost());
    case Event::kCostsMeasured:
      return CheckOne(state, event.costs_measured());
    case Event::kStageInstalled:
      return CheckOne(state, event.stage_installed());
    case Event::kCheckpointAsked:
      return CheckOne(state, event.checkpoint_asked());
    case Event::kStagePrepared:
      return CheckOne(state, event.stage_prepared());
    case Event::kCheckpointCommitted:
      return CheckOne(state, event.checkpoint_committed());
    case Event::kCheckpointDamaged:
      return CheckOne(state, event.checkpoint_damaged());
    case Event::kStageStopped:
      return CheckOne(state, event.stage_stopped());
    case Event::kStageFailed:
      return CheckOne(state, event.stage_failed());
    case Event::kCoordinatorStarted:
    case Event::kMeasureDecided:  // decisions are right by construction
    case Event::kPlanDecided:
    case Event::kPlanRefused:
      return absl::OkStatus();
    case Event::KIND_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("the event has no kind that this build knows");
}

}  // namespace carousel
