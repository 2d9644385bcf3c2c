#include "coordinator/worker_calls.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cluster/channel.h"
#include "cluster/log.h"
#include "cluster/status_macros.h"

namespace carousel {
namespace {

constexpr int kNamed = 5;  // steps in an error

// "step 40", "steps 40, 30, 20": the newest.
std::string NewestSteps(const JobRecord& job) {
  std::vector<int64_t> steps;
  for (int i = job.checkpoints_size() - 1; i >= 0 && steps.size() < kNamed; --i) {
    steps.push_back(job.checkpoints(i).step());
  }
  return absl::StrCat(steps.size() == 1 ? "step " : "steps ", absl::StrJoin(steps, ", "));
}

absl::Status NoCheckpointOf(const JobRecord& job, int64_t step) {
  if (job.checkpoints().empty()) {
    return absl::NotFoundError(
        absl::StrCat("job ", job.job(), " has no checkpoint yet",
                     step == 0 ? "" : absl::StrCat(", also none of step ", step)));
  }
  return absl::NotFoundError(
      absl::StrCat("job ", job.job(), " has no checkpoint of step ", step, "; its newest: of ",
                   NewestSteps(job), ", and `carousel get checkpoints ", job.job(), "` lists all"));
}

// The manifest of a step that is committed; no other will do.
absl::StatusOr<FoundManifest> Committed(const ManifestStore& manifests, const std::string& job,
                                        int64_t step) {
  CAROUSEL_ASSIGN_OR_RETURN(std::vector<ListedManifest> listed, manifests.List(job));
  const auto at = std::find_if(listed.begin(), listed.end(),
                               [&](const ListedManifest& one) { return one.step == step; });
  if (at != listed.end() && at->found.ok()) return at->found;
  const std::string damage =
      at == listed.end() ? "is gone"
                         : absl::StrCat("does not verify (", at->found.status().message(), ")");
  return absl::DataLossError(absl::StrCat("the checkpoint of step ", step, " of job ", job,
                                          " cannot be read: its manifest ", damage,
                                          "; name another step (`carousel get checkpoints ", job,
                                          "` lists them), or none for the "
                                          "newest that verifies"));
}

absl::StatusOr<FoundManifest> FindCheckpoint(const CoordinatorCore& core, const JobRecord& job,
                                             int64_t step) {
  if (step < 0 || step == std::numeric_limits<int64_t>::max()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "step: ", step, " is none; give a committed step, or 0 for the newest checkpoint"));
  }
  const bool committed =
      std::any_of(job.checkpoints().begin(), job.checkpoints().end(),
                  [&](const CheckpointRecord& one) { return step == 0 || one.step() == step; });
  if (!committed) return NoCheckpointOf(job, step);
  if (step == 0) return core.manifests().Latest(job.job());
  return Committed(core.manifests(), job.job(), step);
}

template <typename Request>
Request Filled(const CheckpointCall& call) {
  Request request;
  *request.mutable_spec() = call.spec;
  *request.mutable_manifest() = call.manifest;
  for (const Holder& holder : call.holders) *request.add_holders() = holder;
  return request;
}

template <typename Message>
using Begin = std::function<std::unique_ptr<grpc::ClientReader<Message>>(Worker::Stub&,
                                                                         grpc::ClientContext*)>;

// Passes on what one worker says; `said` becomes true with its first message.
template <typename Message>
grpc::Status ForwardOne(const CheckpointCall::Candidate& candidate, const std::string& warning,
                        grpc::ServerContext* context, const Begin<Message>& begin,
                        grpc::ServerWriter<Message>* writer, bool* said) {
  const auto stub = Worker::NewStub(OpenChannel(candidate.address));
  const auto worker_context = grpc::ClientContext::FromServerContext(*context);
  const auto reader = begin(*stub, worker_context.get());
  Message message;
  while (reader->Read(&message)) {
    *said = true;
    message.set_warning(warning);
    if (writer->Write(message)) continue;
    worker_context->TryCancel();  // the caller left
    break;
  }
  const grpc::Status status = reader->Finish();
  if (status.ok()) return status;
  return grpc::Status(status.error_code(),
                      absl::StrCat("worker ", candidate.worker, ": ", status.error_message()));
}

template <typename Message>
grpc::Status Forward(const CheckpointCall& call, grpc::ServerContext* context,
                     const Begin<Message>& begin, grpc::ServerWriter<Message>* writer) {
  grpc::Status status;
  for (const CheckpointCall::Candidate& candidate : call.candidates) {
    bool said = false;
    status = ForwardOne(candidate, call.warning, context, begin, writer, &said);
    if (said || status.error_code() != grpc::StatusCode::RESOURCE_EXHAUSTED) break;
  }
  return status;
}

}  // namespace

absl::StatusOr<CheckpointCall> CallOn(const CoordinatorCore& core, const std::string& job,
                                      int64_t step) {
  CAROUSEL_RETURN_IF_ERROR(core.View(job).status());
  CAROUSEL_ASSIGN_OR_RETURN(FoundManifest found,
                            FindCheckpoint(core, *FindJob(core.state(), job), step));
  CheckpointCall call;
  call.warning = found.warning;
  if (!call.warning.empty()) {
    LogWarning("coordinator", absl::StrCat("job ", job, ": ", call.warning));
  }
  call.spec = found.manifest.resolved_job();
  std::set<std::string> seen;
  for (const ShardRef& unit : found.manifest.units()) {
    if (!seen.insert(unit.holder()).second) continue;
    const auto holder = core.state().workers().find(unit.holder());
    if (holder == core.state().workers().end()) {
      return absl::FailedPreconditionError(absl::StrCat(
          "worker ", unit.holder(), ", whose store holds unit ", unit.unit(), " of step ",
          found.manifest.step(), ", is not attached; start it on its state folder"));
    }
    Holder& out = call.holders.emplace_back();
    out.set_worker(unit.holder());
    out.set_address(holder->second.hello().address());
  }
  const std::vector<std::string> free = FreeWorkers(core.state());
  if (free.empty()) {
    const int attached = AttachedForStages(core.state());
    return absl::UnavailableError(
        attached == 0 ? "no worker that computes is attached; start one without --serve-only"
                      : absl::StrCat("all workers that compute are busy (", attached, " of ",
                                     attached, "); wait, or start one more"));
  }
  for (const std::string& worker : free) {
    call.candidates.push_back({worker, core.state().workers().at(worker).hello().address()});
  }
  call.manifest = std::move(found.manifest);
  return call;
}

grpc::Status ForwardEvaluate(const CheckpointCall& call, const EvaluateRequest& request,
                             grpc::ServerContext* context,
                             grpc::ServerWriter<EvaluateProgress>* writer) {
  auto out = Filled<WorkerEvaluateRequest>(call);
  *out.mutable_request() = request;
  const Begin<EvaluateProgress> begin = [&](Worker::Stub& worker, grpc::ClientContext* on) {
    return worker.Evaluate(on, out);
  };
  return Forward(call, context, begin, writer);
}

grpc::Status ForwardGenerate(const CheckpointCall& call, const GenerateRequest& request,
                             grpc::ServerContext* context,
                             grpc::ServerWriter<GeneratedText>* writer) {
  auto out = Filled<WorkerGenerateRequest>(call);
  *out.mutable_request() = request;
  const Begin<GeneratedText> begin = [&](Worker::Stub& worker, grpc::ClientContext* on) {
    return worker.Generate(on, out);
  };
  return Forward(call, context, begin, writer);
}

}  // namespace carousel
