// The workers' side of the core: who is there, what they report, who was lost.
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cluster/job/resolve.h"
#include "cluster/log.h"
#include "cluster/status_macros.h"
#include "cluster/version.h"
#include "coordinator/core.h"

namespace carousel {
namespace {

// One cluster, one build: another one may calculate other bits, or mean other things by a message.
absl::Status CheckBuild(const Hello& hello) {
  if (hello.kernel_version() != kKernelVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("worker ", hello.worker(), " computes kernel version ", hello.kernel_version(),
                     " and this coordinator plans for version ", kKernelVersion,
                     ": its sums would be others; start worker and coordinator of the same build"));
  }
  if (hello.version() != kVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("worker ", hello.worker(), " is of version '", hello.version(),
                     "' and this coordinator of version '", std::string(kVersion),
                     "': start worker and coordinator of the same build"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CoordinatorCore::Join(uint64_t session, const Hello& hello) {
  if (!hello.cluster_id().empty() && hello.cluster_id() != options_.cluster_id) {
    return absl::FailedPreconditionError(absl::StrCat(
        "worker ", hello.worker(), " has the store of cluster ", hello.cluster_id(),
        "; this is cluster ", options_.cluster_id, ": give the worker another --state"));
  }
  CAROUSEL_RETURN_IF_ERROR(CheckBuild(hello));
  if (hello.newest_epoch() > state_.last_epoch()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "worker ", hello.worker(), " has worked in epoch ", hello.newest_epoch(),
        " and this coordinator knows epochs up to ", state_.last_epoch(),
        ": its state folder is an older copy; start the coordinator on the newest one"));
  }
  const auto known = workers_.find(hello.worker());
  if (known != workers_.end() && known->second.session != 0) {
    const uint64_t old = known->second.session;
    Lose(old, "another process took its place");
    options_.outbox->Close(old, "another process took the place of this worker");
  }
  Event event;
  event.mutable_worker_joined()->set_session(session);
  *event.mutable_worker_joined()->mutable_hello() = hello;
  CAROUSEL_RETURN_IF_ERROR(broken_);
  CAROUSEL_RETURN_IF_ERROR(Check(state_, event));
  const double now = options_.clock->Now();
  workers_[hello.worker()] = {hello, session, now};
  sessions_[session] = hello.worker();
  leases_.Renew(hello.worker(), now);
  CoordinatorMessage welcome;  // before anything that the event brings about
  welcome.mutable_welcome()->set_cluster_id(options_.cluster_id);
  welcome.mutable_welcome()->set_lease_seconds(options_.lease.dead_after);
  options_.outbox->Send(session, std::move(welcome));
  LogInfo(kComponent, absl::StrCat("worker ", hello.worker(), " joined from ", hello.address()));
  return Handle(std::move(event));
}

const std::string* CoordinatorCore::WorkerOf(uint64_t session) const {
  const auto it = sessions_.find(session);
  return it == sessions_.end() ? nullptr : &it->second;
}

void CoordinatorCore::Lose(uint64_t session, const std::string& reason) {
  const auto it = sessions_.find(session);
  if (it == sessions_.end()) return;
  const std::string worker = it->second;
  sessions_.erase(it);
  workers_[worker].session = 0;
  leases_.Forget(worker);
  LogWarning(kComponent, absl::StrCat("worker ", worker, " was lost: ", reason));
  Event event;
  event.mutable_worker_lost()->set_worker(worker);
  event.mutable_worker_lost()->set_session(session);
  event.mutable_worker_lost()->set_reason(reason);
  Handle(std::move(event)).IgnoreError();  // broken_
}

// A fact of the present is applied, one of an epoch that is over is answered with Drop, a wrong one
// is the job's failure.
void CoordinatorCore::Receive(const std::string& worker, const Fact& fact) {
  const JobRecord* job = FindJob(state_, fact.job);
  if (job == nullptr || job->epoch() != fact.epoch || !Uses(*job, worker)) {
    CoordinatorMessage drop;
    drop.mutable_drop()->set_job(fact.job);
    drop.mutable_drop()->set_epoch(fact.epoch);
    return options_.outbox->Send(workers_[worker].session, std::move(drop));
  }
  if (fact.event.kind_case() == Event::KIND_NOT_SET) return;  // a sign of life
  if (fact.event.has_checkpoint_damaged()) {
    Strike(fact.event);
    return DecideAll();
  }
  const absl::Status status = Handle(fact.event);
  if (!absl::IsInvalidArgument(status)) return;
  FailStage(fact.job, fact.epoch, std::string(status.message()));
  DecideAll();
}

void CoordinatorCore::ReceiveReport(const std::string& worker, const StepReport& report) {
  const auto progress = progress_.find(report.job());
  const JobRecord* job = FindJob(state_, report.job());
  if (progress == progress_.end() || job == nullptr || job->epoch() != report.epoch() ||
      !Uses(*job, worker)) {
    return;
  }
  const absl::Status status = progress->second.Report(StageOf(*job, worker), report);
  if (status.ok()) return;
  FailStage(report.job(), report.epoch(), std::string(status.message()));
  DecideAll();
}

void CoordinatorCore::Receive(uint64_t session, const WorkerMessage& message) {
  const std::string* known = WorkerOf(session);
  if (known == nullptr || !broken_.ok()) return;
  const std::string worker = *known;
  Attached& attached = workers_[worker];
  attached.heard_at = options_.clock->Now();
  leases_.Renew(worker, attached.heard_at);
  ++version_;
  if (message.has_step()) return ReceiveReport(worker, message.step());
  if (message.has_log()) {
    const std::string& job = message.log().job();
    LogInfo("worker " + worker, (job.empty() ? "" : "job " + job + ": ") + message.log().line());
    return;
  }
  const std::optional<Fact> fact = FactOf(state_, attached.hello, message);
  if (!fact.has_value()) return;
  if (message.has_failure()) {
    const StageFailure& failure = message.failure();
    LogWarning(kComponent,
               absl::StrCat("job ", fact->job, ": worker ", worker, ": ", failure.reason()));
    const JobRecord* job = FindJob(state_, fact->job);
    const bool cause_will_come = state_.workers().contains(failure.lost_worker());
    if (cause_will_come && job != nullptr && Uses(*job, worker) &&
        Check(state_, fact->event).ok()) {
      return Suspect(fact->job, fact->event);
    }
  }
  Receive(worker, *fact);
}

void CoordinatorCore::Suspect(const std::string& job, const Event& event) {
  const Suspicion suspicion{event, options_.clock->Now() + kSuspicionSeconds};
  const auto [known, first] = suspicions_.try_emplace(job, suspicion);
  const bool of_a_run_before =
      known->second.event.stage_failed().epoch() != event.stage_failed().epoch();
  if (of_a_run_before) known->second = suspicion;
}

void CoordinatorCore::Tick() {
  const double now = options_.clock->Now();
  const std::map<std::string, Suspicion> suspicions = suspicions_;
  for (const auto& [job, suspicion] : suspicions) {
    if (now < suspicion.until) continue;
    suspicions_.erase(job);
    Handle(suspicion.event).IgnoreError();  // broken_, or over already
  }
  for (const std::string& worker : leases_.Dead(now)) {
    const Attached attached = workers_[worker];
    const std::string reason = absl::StrFormat("silent for %.1f s", now - attached.heard_at);
    Lose(attached.session, reason);
    options_.outbox->Close(attached.session, reason);
  }
  for (int i = 0; i < state_.jobs_size(); ++i) {
    const JobRecord& job = state_.jobs(i);
    const double every = job.spec().checkpoint().every_seconds();
    if (job.state() != RUNNING || every <= 0 || job.checkpoint_asked()) continue;
    const auto [due, first] = checkpoint_due_.try_emplace(job.job(), now + every);
    if (now < due->second) continue;
    checkpoint_due_.erase(due);
    Event event;
    event.mutable_checkpoint_asked()->set_job(job.job());
    event.mutable_checkpoint_asked()->set_epoch(job.epoch());
    Handle(std::move(event)).IgnoreError();  // broken_
  }
}

}  // namespace carousel
