#include "coordinator/core.h"

#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "cluster/log.h"
#include "cluster/status_macros.h"
#include "coordinator/decide.h"
#include "coordinator/job_view.h"

namespace carousel {
namespace {

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
  std::unique_ptr<CoordinatorCore> core(new CoordinatorCore(options));
  CAROUSEL_ASSIGN_OR_RETURN(core->journal_, Journal::Open(options.store, &core->state_));
  for (const JobRecord& job : core->state_.jobs()) {
    const absl::Status chain = core->manifests_.VerifyChain(job.job());
    if (!chain.ok()) LogWarning(kComponent, std::string(chain.message()));
  }
  Event event;
  event.mutable_coordinator_started();
  CAROUSEL_RETURN_IF_ERROR(core->Handle(std::move(event)));
  return core;
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
  CAROUSEL_RETURN_IF_ERROR(NoteWrite(journal_->Append(event)));
  std::vector<JobState> before;
  for (const JobRecord& job : state_.jobs()) before.push_back(job.state());
  const Effects effects = Apply(event, &state_);
  LogChanges(before);
  Carry(effects);
  return NoteWrite(journal_->Cut(state_));
}

void CoordinatorCore::LogChanges(const std::vector<JobState>& before) const {
  for (int i = 0; i < state_.jobs_size(); ++i) {  // new ones at the end; none is ever removed
    const JobRecord& job = state_.jobs(i);
    if (i < static_cast<int>(before.size()) && job.state() == before[i]) continue;
    std::string line = absl::StrCat("job ", job.job(), ": ", JobState_Name(job.state()));
    if (const auto progress = progress_.find(job.job()); progress != progress_.end()) {
      Job ran;  // from its checkpoint on, until a step is reported
      ran.set_step(std::max<int64_t>(0, CommittedStep(job)));
      progress->second.Show(&ran);
      absl::StrAppend(&line, " at step ", ran.step());
    }
    if (!job.reason().empty()) absl::StrAppend(&line, ": ", job.reason());
    LogInfo(kComponent, line);
  }
}

absl::Status CoordinatorCore::NoteWrite(const absl::Status& status) {
  ++version_;
  return BreakOnError(status, "the journal cannot be written");
}

absl::Status CoordinatorCore::BreakOnError(const absl::Status& status, std::string_view what) {
  if (!status.ok() && broken_.ok()) {
    broken_ = absl::Status(status.code(),
                           absl::StrCat(std::string(what), ": ", status.message(),
                                        "; nothing is lost: repair the store, start again"));
    LogError(kComponent, std::string(broken_.message()));
  }
  return broken_;
}

void CoordinatorCore::DecideAll() {
  while (broken_.ok()) {
    std::optional<Event> decision = Decide(state_);
    if (!decision.has_value()) break;
    if (decision->has_plan_decided() && !IsRestorable(decision->plan_decided())) continue;
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

// --- effects ---

void CoordinatorCore::Carry(const Effects& effects) {
  for (const Effect& effect : effects) {
    if (!broken_.ok()) return;
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
      absl::StatusOr<FoundManifest> found = manifests_.Before(job.job(), send.restore_step + 1);
      if (found.ok() && found->manifest.step() != send.restore_step) {
        found = absl::DataLossError(found->warning);
      }
      // It verified a moment ago.
      if (!BreakOnError(found.status(), "a checkpoint cannot be read").ok()) return;
      *message.mutable_install()->mutable_restore() = std::move(found->manifest);
    }
  }
  if (message.has_start()) checkpoint_due_.erase(message.start().job());
  options_.outbox->Send(worker->second.session(), std::move(message));
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
                                     const ResumeChanges& changes) {
  Event event;
  ResumeAsked* asked = event.mutable_resume_asked();
  asked->set_request_id(request_id);
  asked->set_job(job);
  *asked->mutable_pipeline() = changes.pipeline;
  asked->set_dataset(changes.dataset);
  if (changes.checkpoint.has_value()) *asked->mutable_checkpoint() = *changes.checkpoint;
  return AnsweredIsOk(Handle(std::move(event)));
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
