#include "coordinator/core.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cluster/log.h"
#include "cluster/state_digest.h"
#include "cluster/status_macros.h"
#include "coordinator/decide.h"
#include "coordinator/facts.h"
#include "coordinator/job_view.h"

namespace carousel {
namespace {

constexpr std::string_view kComponent = "coordinator";

// Job ids are [a-z0-9-]{1,63}: the job's name, cut to leave room for a number.
std::string NewJobId(const JobSpec& spec, int64_t number) {
  const std::string suffix = "-" + std::to_string(number);
  return spec.name().substr(0, 63 - suffix.size()) + suffix;
}

}  // namespace

CoordinatorCore::CoordinatorCore(const CoreOptions& options)
    : options_(options), manifests_(options.store), leases_(options.lease) {}

absl::StatusOr<std::unique_ptr<CoordinatorCore>> CoordinatorCore::Open(const CoreOptions& options) {
  CAROUSEL_RETURN_IF_ERROR(CheckLeaseTerms(options.lease));
  std::unique_ptr<CoordinatorCore> coordinator(new CoordinatorCore(options));
  CAROUSEL_ASSIGN_OR_RETURN(coordinator->journal_,
                            Journal::Open(options.store, &coordinator->state_));
  Event event;
  event.mutable_coordinator_started();
  CAROUSEL_RETURN_IF_ERROR(coordinator->Handle(std::move(event)));
  return coordinator;
}

// --- events ---

absl::Status CoordinatorCore::Handle(Event event) {
  CAROUSEL_RETURN_IF_ERROR(Record(std::move(event)));
  DecideAll();
  return broken_;
}

absl::Status CoordinatorCore::Record(Event event) {
  CAROUSEL_RETURN_IF_ERROR(broken_);
  CAROUSEL_RETURN_IF_ERROR(Check(state_, event));
  event.set_wall_time(options_.clock->WallTime());
  CAROUSEL_RETURN_IF_ERROR(Journaled(journal_->Append(event)));
  Carry(Apply(event, &state_));
  return Journaled(journal_->Cut(state_));
}

absl::Status CoordinatorCore::Journaled(absl::Status status) {
  ++version_;
  if (!status.ok() && broken_.ok()) {
    broken_ = absl::Status(status.code(),
                           absl::StrCat("the journal cannot be written: ", status.message(),
                                        "; nothing is lost: repair the store, start again"));
    LogError(kComponent, std::string(broken_.message()));
  }
  return broken_;
}

void CoordinatorCore::DecideAll() {
  while (broken_.ok()) {
    std::optional<Event> decision = Decide(state_);
    if (!decision.has_value()) break;
    if (decision->has_plan_decided() && !CheckRestorable(decision->plan_decided()).ok()) continue;
    if (!Record(*std::move(decision)).ok()) break;
  }
  // What is measured only of active jobs follows the state.
  for (const JobRecord& job : state_.jobs()) {
    if (!IsActive(job.state())) {
      progress_.erase(job.job());
      checkpoint_due_.erase(job.job());
      suspicions_.erase(job.job());
    }
  }
}

// The checkpoint that a plan starts from must verify now; if it does not, it is struck from the
// state, and the next decision takes the one before it.
absl::Status CoordinatorCore::CheckRestorable(const PlanDecided& decided) {
  if (decided.restore_step() < 0) return absl::OkStatus();
  const std::string& job = decided.plan().job();
  const absl::StatusOr<FoundManifest> found = manifests_.Before(job, decided.restore_step() + 1);
  absl::Status status = found.status();
  if (found.ok() && found->manifest.step() != decided.restore_step()) {
    status = absl::DataLossError(found->warning);
  }
  if (status.ok()) return status;
  LogError(kComponent, absl::StrCat("job ", job, ": the checkpoint of step ",
                                    decided.restore_step(), " is damaged: ", status.message()));
  Event event;
  event.mutable_checkpoint_damaged()->set_job(job);
  event.mutable_checkpoint_damaged()->set_step(decided.restore_step());
  event.mutable_checkpoint_damaged()->set_reason(std::string(status.message()));
  Record(std::move(event)).IgnoreError();  // an error leaves broken_ behind
  return status;
}

// --- effects ---

void CoordinatorCore::Carry(const Effects& effects) {
  for (const Effect& effect : effects) {
    std::visit([this](const auto& one) { Carry(one); }, effect);
  }
}

void CoordinatorCore::Carry(const SendToWorker& send) {
  const auto worker = state_.workers().find(send.worker);
  if (worker == state_.workers().end()) return;
  CoordinatorMessage message = send.message;
  if (message.has_install()) {
    const JobRecord& job = *FindJob(state_, message.install().plan().job());
    progress_.erase(job.job());
    progress_.emplace(job.job(), JobProgress(job));
    if (send.restore_step >= 0) {
      const absl::StatusOr<FoundManifest> found =
          manifests_.Before(job.job(), send.restore_step + 1);
      if (!found.ok() || found->manifest.step() != send.restore_step) {
        // It verified a moment ago.
        return FailStage(
            job.job(), job.epoch(),
            absl::StrCat("the checkpoint of step ", send.restore_step, " cannot be read"));
      }
      *message.mutable_install()->mutable_restore() = found->manifest;
    }
  }
  if (message.has_start()) checkpoint_due_.erase(message.start().job());
  options_.outbox->Send(worker->second.session(), std::move(message));
}

absl::Status CoordinatorCore::CommitOf(const CommitCheckpoint& commit, Manifest* manifest,
                                       CheckpointRecord* record) const {
  const JobRecord& job = *FindJob(state_, commit.job);
  const PreparedStep& prepared = commit.prepared;
  if (!prepared.has_cursor()) return absl::InternalError("no stage sent the data cursor");
  std::vector<Digest> units;
  for (const ShardRef& shard : prepared.shards()) {
    CAROUSEL_ASSIGN_OR_RETURN(units.emplace_back(),
                              DigestFromBytes(shard.digest(), "a shard's digest"));
  }
  const Digest state = StateDigest(units, prepared.step(), prepared.cursor().sequences());
  const auto progress = progress_.find(commit.job);
  if (progress != progress_.end()) {
    const std::optional<Digest> running = progress->second.StateDigestAt(prepared.step());
    if (running.has_value() && *running != state) {
      return absl::DataLossError(absl::StrCat("what was stored (", state.Hex(),
                                              ") is not what ran (", running->Hex(), ")"));
    }
    if (const auto summary = progress->second.Summary(prepared.step()); summary.has_value()) {
      *record->mutable_summary() = *summary;
    }
  }
  manifest->set_job(commit.job);
  manifest->set_step(prepared.step());
  manifest->set_epoch(static_cast<int64_t>(commit.epoch));
  manifest->set_contract_hash(job.contract_hash());
  *manifest->mutable_resolved_job() = job.spec();
  *manifest->mutable_units() = prepared.shards();
  *manifest->mutable_cursor() = prepared.cursor();
  manifest->set_state_digest(std::string(state.AsBytes()));
  manifest->set_wall_time(options_.clock->WallTime());
  record->set_step(prepared.step());
  record->set_state_digest(manifest->state_digest());
  *record->mutable_shards() = prepared.shards();
  record->set_committed_at(manifest->wall_time());
  return absl::OkStatus();
}

void CoordinatorCore::Carry(const CommitCheckpoint& commit) {
  if (!broken_.ok()) return;
  Manifest manifest;
  Event event;
  event.set_wall_time(options_.clock->WallTime());
  CheckpointCommitted* committed = event.mutable_checkpoint_committed();
  committed->set_job(commit.job);
  committed->set_epoch(commit.epoch);
  absl::Status status = CommitOf(commit, &manifest, committed->mutable_checkpoint());
  if (status.ok()) {
    const JobRecord& job = *FindJob(state_, commit.job);
    const int keep = std::max<int>(2, static_cast<int>(job.spec().checkpoint().keep()));
    status = manifests_.Commit(std::move(manifest), keep, journal_->Entry(event));
  }
  if (!status.ok()) {
    return FailStage(commit.job, commit.epoch,
                     absl::StrCat("the checkpoint of step ", commit.prepared.step(),
                                  " cannot be committed: ", status.message()));
  }
  journal_->Wrote();
  ++version_;
  checkpoint_due_.erase(commit.job);
  LogInfo(kComponent,
          absl::StrCat("job ", commit.job, ": committed step ", commit.prepared.step()));
  Carry(Apply(event, &state_));
}

void CoordinatorCore::FailStage(const std::string& job, uint64_t epoch, const std::string& reason) {
  LogError(kComponent, absl::StrCat("job ", job, ": ", reason));
  Event event;
  event.mutable_stage_failed()->set_job(job);
  event.mutable_stage_failed()->set_epoch(epoch);
  event.mutable_stage_failed()->set_stage(-1);
  event.mutable_stage_failed()->set_reason(reason);
  Record(std::move(event)).IgnoreError();  // broken_, or the epoch is over already
}

// --- clients ---

absl::StatusOr<std::string> CoordinatorCore::Submit(const std::string& request_id,
                                                    const JobSpec& spec,
                                                    const std::string& contract_hash) {
  Event event;
  JobSubmitted* submitted = event.mutable_job_submitted();
  submitted->set_request_id(request_id);
  submitted->set_job(NewJobId(spec, state_.last_job_number() + 1));
  *submitted->mutable_spec() = spec;
  submitted->set_contract_hash(contract_hash);
  const std::string id = submitted->job();
  const absl::Status status = Handle(std::move(event));
  if (absl::IsAlreadyExists(status)) return FindRequest(state_, request_id)->job();
  CAROUSEL_RETURN_IF_ERROR(status);
  LogInfo(kComponent, absl::StrCat("job ", id, ": submitted"));
  return id;
}

namespace {

absl::Status AnsweredIsOk(const absl::Status& status) {
  return absl::IsAlreadyExists(status) ? absl::OkStatus() : status;
}

}  // namespace

absl::Status CoordinatorCore::Pause(const std::string& request_id, const std::string& job) {
  Event event;
  event.mutable_pause_asked()->set_request_id(request_id);
  event.mutable_pause_asked()->set_job(job);
  return AnsweredIsOk(Handle(std::move(event)));
}

absl::Status CoordinatorCore::Cancel(const std::string& request_id, const std::string& job) {
  Event event;
  event.mutable_cancel_asked()->set_request_id(request_id);
  event.mutable_cancel_asked()->set_job(job);
  return AnsweredIsOk(Handle(std::move(event)));
}

absl::Status CoordinatorCore::Resume(const std::string& request_id, const std::string& job,
                                     const PipelineSpec& wishes) {
  Event event;
  event.mutable_resume_asked()->set_request_id(request_id);
  event.mutable_resume_asked()->set_job(job);
  *event.mutable_resume_asked()->mutable_pipeline() = wishes;
  return AnsweredIsOk(Handle(std::move(event)));
}

// --- workers ---

absl::Status CoordinatorCore::Join(uint64_t session, const Hello& hello) {
  if (!hello.cluster_id().empty() && hello.cluster_id() != options_.cluster_id) {
    return absl::FailedPreconditionError(absl::StrCat(
        "worker ", hello.worker(), " has the store of cluster ", hello.cluster_id(),
        "; this is cluster ", options_.cluster_id, ": give the worker another --state"));
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
    const std::string job = message.log().job();
    LogInfo("worker " + worker, (job.empty() ? "" : "job " + job + ": ") + message.log().line());
    return;
  }
  const std::optional<Fact> fact = FactOf(state_, attached.hello, message);
  if (!fact.has_value()) return;
  if (message.has_failure()) {
    const StageFailure& failure = message.failure();
    LogWarning(kComponent,
               absl::StrCat("job ", fact->job, ": worker ", worker, ": ", failure.reason()));
    const bool cause_will_come = state_.workers().contains(failure.lost_worker());
    if (cause_will_come && Check(state_, fact->event).ok()) return Suspect(fact->job, fact->event);
  }
  Receive(worker, *fact);
}

void CoordinatorCore::Suspect(const std::string& job, const Event& event) {
  suspicions_.try_emplace(job, Suspicion{event, options_.clock->Now() + kSuspicionSeconds});
}

void CoordinatorCore::Tick() {
  const double now = options_.clock->Now();
  const std::map<std::string, Suspicion> suspicions = suspicions_;
  for (const auto& [job, suspicion] : suspicions) {
    if (now >= suspicion.until) Handle(suspicion.event).IgnoreError();  // broken_, or over already
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

// --- reading ---

absl::StatusOr<Job> CoordinatorCore::View(const std::string& job) const {
  const JobRecord* record = FindJob(state_, job);
  if (record == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("there is no job '", job, "'; `carousel get jobs` lists them"));
  }
  const auto progress = progress_.find(job);
  return ViewJob(state_, *record, progress == progress_.end() ? nullptr : &progress->second);
}

std::vector<Node> CoordinatorCore::Nodes() const {
  std::vector<Node> nodes;
  for (const auto& [id, attached] : workers_) {
    Node& node = nodes.emplace_back();
    node.set_worker(id);
    node.set_address(attached.hello.address());
    node.set_backend(attached.hello.backend());
    node.set_isa(attached.hello.isa());
    node.set_threads(attached.hello.threads());
    node.set_memory_bytes(attached.hello.memory_bytes());
    node.set_alive(attached.session != 0);
    node.set_seconds_since_heard(options_.clock->Now() - attached.heard_at);
    if (const JobRecord* job = JobOf(state_, id)) node.set_job(job->job());
  }
  return nodes;
}

}  // namespace carousel
