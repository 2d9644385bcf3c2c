#include "worker/host.h"

#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/job/resolve.h"
#include "cluster/status_macros.h"
#include "cluster/version.h"
#include "worker/unit_costs.h"

namespace carousel {
namespace {

// The same job computed by kernels of another version is another result.
absl::Status CheckKernelVersion(const JobSpec& job) {
  if (job.numerics().kernel_version() == kKernelVersion) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "numerics.kernel_version: the job computes with version ", job.numerics().kernel_version(),
      " of the kernels, this worker (", std::string(kVersion), ") with ", kKernelVersion,
      "; give the job to workers of the build that it was made with"));
}

absl::StatusOr<std::vector<UnitCost>> CostsOf(const JobSpec& job, kernels::Backend* backend,
                                              const std::function<bool()>& cancelled) {
  CAROUSEL_RETURN_IF_ERROR(CheckKernelVersion(job));
  return MeasureUnitCosts(job, backend, cancelled);
}

// Who is silent is for the coordinator to say, who then places no stage on it any more: between
// workers a connection gives up only after the coordinator would have.
LeaseTerms AmongWorkers(LeaseTerms lease) {
  lease.stop_after = lease.dead_after + lease.heartbeat_every;
  return lease;
}

}  // namespace

WorkerHost::~WorkerHost() {
  SetSession(nullptr);
  Handle(SessionLost{});
}

void WorkerHost::SetSession(std::function<void(const WorkerMessage&)> send,
                            const LeaseTerms& lease) {
  MutexLock lock(&send_mutex_);
  send_ = std::move(send);
  lease_ = lease;
}

void WorkerHost::Send(const WorkerMessage& message) const {
  MutexLock lock(&send_mutex_);
  if (send_ != nullptr) send_(message);
}

void WorkerHost::Handle(const WorkerEvent& event) {
  MutexLock lock(&mutex_);
  for (const WorkerEffect& effect : ApplyWorkerEvent(event, &state_)) {
    std::visit([this](const auto& e) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { Perform(e); }, effect);
  }
}

Heartbeat WorkerHost::Progress() const {
  MutexLock lock(&mutex_);
  Heartbeat heartbeat;
  if (state_.phase == StagePhase::kNone) return heartbeat;
  heartbeat.set_job(state_.job);
  heartbeat.set_epoch(state_.epoch);
  return heartbeat;
}

WorkerHost::Flag WorkerHost::NewFlag() {
  let_go_ = std::make_shared<std::atomic<bool>>(false);
  return let_go_;
}

void WorkerHost::Perform(const BeginMeasuring& effect) {
  work_.Add([this, measure = effect.measure, let_go = NewFlag()] { Measure(measure, let_go); });
}

void WorkerHost::Measure(const carousel::Measure& measure, const Flag& let_go) {
  absl::StatusOr<std::vector<UnitCost>> costs =
      CostsOf(measure.spec(), parts_.backend, [let_go] { return let_go->load(); });
  if (*let_go) return;
  if (costs.ok()) {
    WorkerMessage message;
    message.mutable_measured()->set_job(measure.job());
    message.mutable_measured()->set_epoch(measure.epoch());
    for (UnitCost& cost : *costs) message.mutable_measured()->add_units()->Swap(&cost);
    Send(message);
  }
  Handle(WorkEnded{measure.job(), measure.epoch(), costs.status()});
}

void WorkerHost::Perform(const BeginInstalling& effect) {
  work_.Add(
      [this, install = effect.install, let_go = NewFlag()] { InstallStage(install, let_go); });
}

void WorkerHost::InstallStage(const Install& install, const Flag& let_go) {
  const Plan& plan = install.plan();
  absl::StatusOr<std::unique_ptr<StageRunner>> runner = BuildRunner(install, let_go);
  if (*let_go) return;
  const absl::Status outcome = runner.status();
  if (outcome.ok()) {
    MutexLock lock(&mutex_);
    if (state_.phase == StagePhase::kInstalling && state_.job == plan.job() &&
        state_.epoch == plan.epoch()) {
      runner_ = *std::move(runner);
    }
  } else {
    log_.Write(LogLevel::kError, plan.job(),
               absl::StrCat("cannot install stage ", install.stage(), ": ", outcome.message()));
  }
  Handle(WorkEnded{plan.job(), plan.epoch(), outcome});
}

absl::StatusOr<std::unique_ptr<StageRunner>> WorkerHost::BuildRunner(const Install& install,
                                                                     const Flag& let_go) {
  const Plan& plan = install.plan();
  CAROUSEL_RETURN_IF_ERROR(CheckKernelVersion(install.spec()));
  // Durable before it is used: a store that has seen this epoch refuses every older writer.
  CAROUSEL_RETURN_IF_ERROR(
      parts_.shards->RaiseEpoch(plan.job(), static_cast<int64_t>(plan.epoch())));
  RunnerEnvironment environment = {.backend = parts_.backend,
                                   .shards = parts_.shards,
                                   .transports = parts_.transports,
                                   .log = &log_,
                                   .send = [this](const WorkerMessage& message) { Send(message); },
                                   .cancelled = [let_go] { return let_go->load(); }};
  {
    MutexLock lock(&send_mutex_);
    environment.lease = AmongWorkers(lease_);
  }
  log_.Write(
      LogLevel::kInfo, plan.job(),
      absl::StrCat("installs stage ", install.stage(), " of ", plan.stages_size(), ", epoch ",
                   plan.epoch(),
                   install.has_restore() ? absl::StrCat(", from step ", install.restore().step())
                                         : ", from the seed"));
  return StageRunner::Install(environment, install);
}

void WorkerHost::Perform(const BeginRunning&) {
  if (runner_ != nullptr) runner_->Start();
}

void WorkerHost::Perform(const AskBoundary& effect) {
  if (runner_ != nullptr) runner_->RequestBoundary(effect.checkpoint, effect.stop);
}

void WorkerHost::Perform(const LetGo& effect) {
  if (const Flag let_go = std::exchange(let_go_, nullptr); let_go != nullptr) *let_go = true;
  if (runner_ == nullptr) return;
  log_.Write(LogLevel::kInfo, runner_->job(), absl::StrCat("lets its stage go: ", effect.reason));
  runner_->Abandon(effect.reason);
  // Its thread may be inside a long operation or a checkpoint. The next piece of work waits for it;
  // heartbeats and messages do not.
  work_.Add(
      [ending = std::shared_ptr<StageRunner>(std::move(runner_))]() mutable { ending.reset(); });
}

// Removing many shards takes a while. It is done in line with installations: a job that was at rest
// when the coordinator said so begins nothing here before the sweep is over.
void WorkerHost::Perform(const SweepShards& effect) {
  work_.Add([this, committed = effect.committed] { Sweep(committed); });
}

void WorkerHost::Sweep(const Committed& committed) {
  const std::set<int64_t> kept(committed.kept().begin(), committed.kept().end());
  std::optional<int64_t> in_flight;
  if (!committed.at_rest()) in_flight = committed.step() + 1;
  const absl::StatusOr<int> swept = parts_.shards->Sweep(committed.job(), kept, in_flight);
  if (!swept.ok())
    log_.Write(LogLevel::kWarning, committed.job(),
               absl::StrCat("cannot sweep old shards: ", swept.status().message()));
}

void WorkerHost::Perform(const Answer& effect) { Send(effect.message); }

}  // namespace carousel
