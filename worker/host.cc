#include "worker/host.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/status_macros.h"
#include "worker/unit_costs.h"

namespace carousel {

WorkerHost::~WorkerHost() {
  SetSender(nullptr);
  Handle(SessionLost{});
  std::thread work;
  {
    MutexLock lock(&mutex_);
    work.swap(work_);
  }
  if (work.joinable()) work.join();
}

void WorkerHost::SetSender(std::function<void(const WorkerMessage&)> send) {
  MutexLock lock(&send_mutex_);
  send_ = std::move(send);
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

void WorkerHost::StartWork(std::function<void()> work) {
  std::thread before = std::move(work_);
  work_ = std::thread([before = std::move(before), work = std::move(work)]() mutable {
    if (before.joinable()) before.join();
    work();
  });
}

void WorkerHost::Perform(const BeginMeasuring& effect) {
  StartWork([this, measure = effect.measure] {
    absl::StatusOr<std::vector<UnitCost>> costs = MeasureUnitCosts(measure.spec(), p_.backend);
    if (costs.ok()) {
      WorkerMessage message;
      message.mutable_measured()->set_job(measure.job());
      message.mutable_measured()->set_epoch(measure.epoch());
      for (UnitCost& cost : *costs) message.mutable_measured()->add_units()->Swap(&cost);
      Send(message);
    }
    Handle(WorkEnded{measure.job(), measure.epoch(), costs.status()});
  });
}

void WorkerHost::Perform(const BeginInstalling& effect) {
  StartWork([this, install = effect.install] {
    const Plan& plan = install.plan();
    absl::StatusOr<std::unique_ptr<StageRunner>> runner = InstallStage(install);
    if (runner.ok()) {
      MutexLock lock(&mutex_);
      if (state_.phase == StagePhase::kInstalling && state_.job == plan.job() &&
          state_.epoch == plan.epoch()) {
        runner_ = *std::move(runner);
      }
    } else {
      p_.log->Write(
          LogLevel::kError, "worker",
          absl::StrCat("cannot install stage ", install.stage(), ": ", runner.status().message()));
    }
    Handle(WorkEnded{plan.job(), plan.epoch(), runner.status()});
  });
}

absl::StatusOr<std::unique_ptr<StageRunner>> WorkerHost::InstallStage(const Install& install) {
  const Plan& plan = install.plan();
  // Durable before it is used: a store that has seen this epoch refuses every older writer.
  CAROUSEL_RETURN_IF_ERROR(p_.shards->RaiseEpoch(plan.job(), static_cast<int64_t>(plan.epoch())));
  const RunnerEnvironment environment = {
      .backend = p_.backend,
      .shards = p_.shards,
      .transports = p_.transports,
      .send = [this](const WorkerMessage& message) { Send(message); }};
  p_.log->Write(LogLevel::kInfo, "worker",
                absl::StrCat("installs stage ", install.stage(), " of job ", plan.job(), ", epoch ",
                             plan.epoch()));
  return StageRunner::Install(environment, install);
}

void WorkerHost::Perform(const BeginRunning&) {
  if (runner_ != nullptr) runner_->Start();
}

void WorkerHost::Perform(const AskBoundary& effect) {
  if (runner_ != nullptr) runner_->RequestBoundary(effect.checkpoint, effect.stop);
}

void WorkerHost::Perform(const LetGo& effect) {
  if (runner_ == nullptr) return;
  p_.log->Write(LogLevel::kInfo, "worker", absl::StrCat("lets its stage go: ", effect.reason));
  runner_->Abandon(effect.reason);
  // Its thread may be inside a long operation or a checkpoint. The next piece of work waits for it;
  // heartbeats and messages do not.
  std::shared_ptr<StageRunner> ending = std::move(runner_);
  StartWork([ending]() mutable { ending.reset(); });
}

void WorkerHost::Perform(const SweepShards& effect) {
  const std::set<int64_t> kept(effect.committed.kept().begin(), effect.committed.kept().end());
  absl::StatusOr<int> swept =
      p_.shards->Sweep(effect.committed.job(), kept, effect.committed.step() + 1);
  if (!swept.ok())
    p_.log->Write(LogLevel::kWarning, "worker",
                  absl::StrCat("cannot sweep old shards: ", swept.status().message()));
}

void WorkerHost::Perform(const Answer& effect) { Send(effect.message); }

}  // namespace carousel
