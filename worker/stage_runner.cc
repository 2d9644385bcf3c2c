#include "worker/stage_runner.h"

#include <unistd.h>

#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/cursor.h"
#include "cluster/job/contract.h"
#include "cluster/status_macros.h"
#include "worker/job_terms.h"
#include "worker/lost_peer.h"
#include "worker/shard_exchange.h"

namespace carousel {
namespace {

int64_t ResidentBytes() {
  long pages = 0, resident = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) return 0;
  const bool read = std::fscanf(file, "%ld %ld", &pages, &resident) == 2;
  std::fclose(file);
  return read ? resident * sysconf(_SC_PAGESIZE) : 0;
}

// The largest tensor that an edge of this job carries: rows of a micro-batch, or a tied matrix.
int64_t MaxTensorBytes(const JobSpec& job) {
  const int64_t rows =
      job.numerics().micro_batch_size() * job.data().sequence_length() * job.model().dim();
  const int64_t matrix = job.model().vocab_size() * job.model().dim();
  constexpr int64_t kRecords = 64 << 20;  // evidence of the largest models
  return std::max<int64_t>(std::max(rows, matrix) * static_cast<int64_t>(sizeof(float)), kRecords);
}

EdgeOptions EdgesOf(const Install& install, const LeaseTerms& lease) {
  EdgeOptions options = {.job = install.plan().job(),
                         .epoch = install.plan().epoch(),
                         .stage = install.stage(),
                         .credits = std::max(1, install.plan().credits()),
                         .max_tensor_bytes = MaxTensorBytes(install.spec()),
                         .lease = lease};
  for (const StagePlan& stage : install.plan().stages())
    options.addresses.push_back(stage.address());
  return options;
}

}  // namespace

absl::StatusOr<std::unique_ptr<StageRunner>> StageRunner::Install(
    const RunnerEnvironment& environment, const carousel::Install& install) {
  std::unique_ptr<StageRunner> runner(new StageRunner(environment, install));
  CAROUSEL_RETURN_IF_ERROR(runner->Build());
  CAROUSEL_RETURN_IF_ERROR(runner->Restore());
  return runner;
}

StageRunner::~StageRunner() {
  Abandon("the worker lets the stage go");
  if (thread_.joinable()) thread_.join();
  // A device may still work on what is about to be freed.
  if (stage_ != nullptr) (void)env_.backend->Record(stage_->stream()).Wait();
  if (transport_ != nullptr) transport_->WaitUntilIdle();
}

absl::Status StageRunner::Build() {
  const JobSpec& job = install_.spec();
  const Plan& plan = install_.plan();
  const StagePlan& mine = plan.stages(install_.stage());
  layout_ = LayOut(job.model());
  CAROUSEL_ASSIGN_OR_RETURN(reader_, OpenTrainingData(job));
  const StageOptions options = {.model = &install_.spec().model(),
                                .layout = &layout_,
                                .first_unit = mine.first_unit(),
                                .end_unit = mine.end_unit(),
                                .capacity = CapacityOf(job, mine.slots(), plan.segments())};
  CAROUSEL_ASSIGN_OR_RETURN(stage_, Stage::Create(env_.backend, stream_.get(), options));
  transport_ = std::make_shared<GrpcTransport>(env_.backend, EdgesOf(install_, env_.lease));
  CAROUSEL_ASSIGN_OR_RETURN(executor_, Executor::Create({.job = &install_.spec(),
                                                         .layout = &layout_,
                                                         .plan = &install_.plan(),
                                                         .stage_index = install_.stage(),
                                                         .stage = stage_.get(),
                                                         .transport = transport_.get(),
                                                         .reader = &*reader_}));
  env_.transports->Add(transport_);
  return absl::OkStatus();
}

absl::Status StageRunner::Restore() {
  if (!install_.has_restore()) {
    stage_->Initialize(install_.spec().numerics().seed());
    return env_.backend->Record(stage_->stream()).Wait();
  }
  const Manifest& manifest = install_.restore();
  CAROUSEL_RETURN_IF_ERROR(
      CheckCursor(manifest.cursor(), CursorTermsOf(install_.spec(), *reader_), manifest.step()));
  CAROUSEL_RETURN_IF_ERROR(RestoreStage(*stage_, *env_.shards, manifest, install_.holders(),
                                        {.lease = env_.lease, .cancelled = env_.cancelled}));
  step_ = manifest.step();
  return absl::OkStatus();
}

void StageRunner::Start() {
  thread_ = std::thread([this] { Run(); });
}

void StageRunner::RequestBoundary(bool checkpoint, bool stop) {
  MutexLock lock(&mutex_);
  boundary_.checkpoint |= checkpoint || stop;
  boundary_.stop |= stop;
}

void StageRunner::Abandon(const std::string& reason) {
  abandoned_ = true;
  if (transport_ != nullptr) {
    transport_->Abort(absl::CancelledError(reason));
    env_.transports->Remove(transport_.get());
  }
}

void StageRunner::Run() {
  absl::Status status = RunSteps();
  const absl::Status written = FinishCheckpoint();
  if (status.ok()) status = written;
  if (abandoned_) return;
  if (!status.ok()) return Fail(status);
  WorkerMessage message;
  message.mutable_stopped()->set_job(job());
  message.mutable_stopped()->set_epoch(epoch());
  message.mutable_stopped()->set_step(step_);
  env_.send(message);
}

absl::Status StageRunner::RunSteps() {
  executor_->ShareTiedMatrix(step_);
  while (step_ < install_.spec().steps()) {
    CAROUSEL_ASSIGN_OR_RETURN(const StepDecision decision,
                              executor_->RunStep(step_, TakeBoundary()));
    if (!decision.apply) return RefusedStepError(decision.reason);
    ++step_;
    CAROUSEL_ASSIGN_OR_RETURN(std::vector<Digest> digests, executor_->optimizer().UnitDigests());
    Report(decision, digests);
    CAROUSEL_RETURN_IF_ERROR(CheckpointStatus());
    if (decision.checkpoint) CAROUSEL_RETURN_IF_ERROR(BeginCheckpoint(std::move(digests)));
    if (decision.stop) break;
  }
  return absl::OkStatus();
}

// What was asked for, and what the policy says about the step that comes.
Executor::Boundary StageRunner::TakeBoundary() {
  const int64_t after = step_ + 1;
  const int64_t every = install_.spec().checkpoint().every_steps();
  const bool ends = after == install_.spec().steps();
  MutexLock lock(&mutex_);
  const Executor::Boundary taken = {
      .checkpoint = boundary_.checkpoint || ends || (every > 0 && after % every == 0),
      .stop = boundary_.stop || ends};
  if (last_stage()) boundary_ = {};
  return taken;
}

void StageRunner::Report(const StepDecision& decision, const std::vector<Digest>& digests) {
  WorkerMessage message;
  StepReport& report = *message.mutable_step();
  report.set_job(job());
  report.set_epoch(epoch());
  report.set_step(step_);
  report.set_loss(decision.loss);
  report.set_tokens(executor_->tokens());
  report.set_grad_norm(decision.grad_norm);
  report.set_learning_rate(decision.update.learning_rate);
  report.set_first_unit(stage_->first_unit());
  for (const Digest& digest : digests) report.add_unit_digests(std::string(digest.AsBytes()));
  report.set_seconds(executor_->times().total);
  report.set_wait_seconds(executor_->times().waiting);
  report.set_busy_seconds(executor_->times().total - executor_->times().waiting);
  report.set_resident_bytes(ResidentBytes());
  env_.send(message);
}

absl::Status StageRunner::BeginCheckpoint(std::vector<Digest> digests) {
  CAROUSEL_RETURN_IF_ERROR(FinishCheckpoint());  // one at a time
  const SnapshotLabel label = {.job = job(),
                               .epoch = static_cast<int64_t>(epoch()),
                               .step = step_,
                               .contract_hash = ContractHash(install_.spec())};
  CAROUSEL_ASSIGN_OR_RETURN(Snapshot snapshot, Snapshot::Take(*stage_, label, std::move(digests)));
  checkpoint_writer_ =
      std::thread([this, snapshot = std::move(snapshot)] { WriteCheckpoint(snapshot); });
  return absl::OkStatus();
}

void StageRunner::WriteCheckpoint(const Snapshot& snapshot) {
  absl::StatusOr<std::vector<ShardRecord>> shards = snapshot.Write(*env_.shards);
  if (!shards.ok()) {
    const absl::Status failed(shards.status().code(),
                              absl::StrCat("the checkpoint of step ", snapshot.label().step,
                                           " cannot be written: ", shards.status().message()));
    {
      MutexLock lock(&mutex_);
      checkpoint_status_ = failed;
    }
    return Fail(failed);  // a step may take long, and its work would be lost
  }
  WorkerMessage message;
  Prepared& prepared = *message.mutable_prepared();
  prepared.set_job(job());
  prepared.set_epoch(epoch());
  prepared.set_step(snapshot.label().step);
  for (ShardRecord& shard : *shards) prepared.add_shards()->Swap(&shard);
  *prepared.mutable_cursor() =
      CursorAt(CursorTermsOf(install_.spec(), *reader_), snapshot.label().step);
  env_.send(message);
}

absl::Status StageRunner::FinishCheckpoint() {
  if (checkpoint_writer_.joinable()) checkpoint_writer_.join();
  return CheckpointStatus();
}

absl::Status StageRunner::CheckpointStatus() {
  MutexLock lock(&mutex_);
  return checkpoint_status_;
}

// The cause goes first: a neighbour that sees its edges break takes this worker for lost, and the
// coordinator waits only so long for a better explanation.
void StageRunner::Fail(const absl::Status& status) {
  if (abandoned_ || failed_.exchange(true)) return;
  SendFailure(status);
  // A refused step is the last stage's decision, which may still be on its way to the others; any
  // other failure must end their waiting.
  if (!IsRefusedStep(status)) transport_->Abort(status);
}

void StageRunner::SendFailure(const absl::Status& status) {
  WorkerMessage message;
  StageFailure& failure = *message.mutable_failure();
  failure.set_job(job());
  failure.set_epoch(epoch());
  failure.set_step(step_ + 1);  // the one it was in: step N is that after which N are applied
  Explain(status, install_.plan(), &failure);
  env_.log->Write(LogLevel::kError, job(),
                  absl::StrCat("stage ", install_.stage(), " ends in step ", failure.step(), ": ",
                               failure.reason()));
  env_.send(message);
}

}  // namespace carousel
