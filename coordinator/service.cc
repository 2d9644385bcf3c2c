#include "coordinator/service.h"

#include <chrono>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cluster/job/contract.h"
#include "cluster/job/job_file.h"
#include "cluster/job/overrides.h"
#include "cluster/log.h"
#include "cluster/rpc_status.h"
#include "cluster/status_macros.h"
#include "cluster/version.h"
#include "coordinator/job_view.h"
#include "coordinator/worker_calls.h"

namespace carousel {
namespace {

constexpr auto kLogPoll = std::chrono::milliseconds(200);

// The job's wishes after `--set pipeline.…` at a resume.
absl::StatusOr<PipelineSpec> NewWishes(
    JobSpec spec, const google::protobuf::RepeatedPtrField<std::string>& sets) {
  std::vector<Override> overrides;
  for (const std::string& set : sets) {
    CAROUSEL_ASSIGN_OR_RETURN(overrides.emplace_back(), ParseOverride(set));
  }
  CAROUSEL_RETURN_IF_ERROR(OverrideMessage(overrides, "pipeline.", JobDialect(), &spec));
  return spec.pipeline();
}

// What a resume asks for, as a whole job that is resolved and checked again: an error names the
// field.
absl::StatusOr<ResumeChanges> ChangesOf(const ResumeJobRequest& request, JobSpec spec,
                                        const DatasetProbe& probe) {
  ResumeChanges changes;
  CAROUSEL_ASSIGN_OR_RETURN(changes.pipeline, NewWishes(spec, request.overrides()));
  *spec.mutable_pipeline() = changes.pipeline;
  spec.mutable_checkpoint()->MergeFrom(request.checkpoint());
  ResolveOptions options;
  if (!request.dataset().empty() && spec.data().has_dataset()) {  // else the core refuses it
    spec.mutable_data()->set_dataset(request.dataset());
    options.probe_dataset = probe;  // refuses another digest than the job's
  }
  CAROUSEL_ASSIGN_OR_RETURN(const JobSpec resolved, ResolveJob(spec, options));
  changes.dataset = request.dataset();
  if (request.has_checkpoint()) changes.checkpoint = resolved.checkpoint();
  return changes;
}

// The job that a submission with this id made; its spec is empty if there is none.
JobSpec SubmittedBefore(const CoordinatorCore& core, const std::string& request_id) {
  const RequestRecord* request = FindRequest(core.state(), request_id);
  if (request == nullptr || request->kind() != Event::kJobSubmitted) return {};
  return FindJob(core.state(), request->job())->spec();
}

grpc::Status Answer(absl::StatusOr<Job> job, Job* response) {
  if (!job.ok()) return ToGrpcStatus(job.status());
  *response = *std::move(job);
  return grpc::Status::OK;
}

// Does a line of the log concern the job? Lines that do say "job <id>: ".
bool Concerns(const LogLine& line, const std::string& job) {
  return job.empty() || absl::StrContains(line.message, "job " + job + ":");
}

}  // namespace

absl::StatusOr<Job> CoordinatorService::WaitFor(Context* context, const std::string& job,
                                                const std::function<bool(const Job&)>& done) {
  absl::StatusOr<Job> view;
  const bool happened = core_->Wait(
      [&](const CoordinatorCore& core) {
        view = core.View(job);
        return !view.ok() || done(*view);
      },
      [&] { return context->IsCancelled(); });
  if (happened) return view;
  CAROUSEL_RETURN_IF_ERROR(core_->With([](CoordinatorCore& core) { return core.broken(); }));
  if (context->IsCancelled()) return absl::CancelledError("the caller left");
  return absl::UnavailableError("the coordinator stops; ask again when it is back");
}

grpc::Status CoordinatorService::SubmitJob(Context*, const SubmitJobRequest* request,
                                           SubmitJobResponse* response) {
  JobSpec written = request->job();
  // A call that is repeated gets its answer even if the dataset has gone in the meantime.
  const JobSpec before = core_->With(
      [&](CoordinatorCore& core) { return SubmittedBefore(core, request->request_id()); });
  if (before.data().has_dataset_digest() && !written.data().has_dataset_digest()) {
    written.mutable_data()->set_dataset_digest(before.data().dataset_digest());
  }
  ResolveOptions options;
  if (!written.data().has_dataset_digest()) options.probe_dataset = probe_;
  absl::StatusOr<JobSpec> spec = ResolveJob(written, options);
  if (!spec.ok()) return ToGrpcStatus(spec.status());
  absl::StatusOr<std::string> job = core_->With([&](CoordinatorCore& core) {
    return core.Submit(request->request_id(), *spec, ContractHash(*spec));
  });
  if (!job.ok()) return ToGrpcStatus(job.status());
  response->set_job(*job);
  return grpc::Status::OK;
}

absl::StatusOr<Job> CoordinatorService::Stop(
    Context* context, const JobRequest& request,
    absl::Status (CoordinatorCore::*ask)(const std::string& request_id, const std::string& job)) {
  CAROUSEL_RETURN_IF_ERROR(core_->With(
      [&](CoordinatorCore& core) { return (core.*ask)(request.request_id(), request.job()); }));
  return WaitFor(context, request.job(), [](const Job& job) { return !IsStopping(job.state()); });
}

grpc::Status CoordinatorService::PauseJob(Context* context, const JobRequest* request,
                                          Job* response) {
  return Answer(Stop(context, *request, &CoordinatorCore::Pause), response);
}

grpc::Status CoordinatorService::CancelJob(Context* context, const JobRequest* request,
                                           Job* response) {
  return Answer(Stop(context, *request, &CoordinatorCore::Cancel), response);
}

absl::Status CoordinatorService::Resume(const ResumeJobRequest& request) {
  bool answered = false;
  absl::StatusOr<Job> job = core_->With([&](CoordinatorCore& core) {
    answered = FindRequest(core.state(), request.request_id()) != nullptr;
    return core.View(request.job());
  });
  CAROUSEL_RETURN_IF_ERROR(job.status());
  ResumeChanges changes;
  if (!answered) {  // reads the dataset: not under the lock
    CAROUSEL_ASSIGN_OR_RETURN(changes, ChangesOf(request, job->spec(), probe_));
  }
  return core_->With([&](CoordinatorCore& core) {
    return core.Resume(request.request_id(), request.job(), changes);
  });
}

grpc::Status CoordinatorService::ResumeJob(Context* context, const ResumeJobRequest* request,
                                           Job* response) {
  const absl::Status asked = Resume(*request);
  if (!asked.ok()) return ToGrpcStatus(asked);
  absl::StatusOr<Job> view = WaitFor(context, request->job(), [](const Job& job) {
    return job.state() == RUNNING || IsAtRest(job.state());
  });
  if (!view.ok()) return ToGrpcStatus(view.status());
  if (view->state() != RUNNING && view->state() != DONE) {
    return ToGrpcStatus(absl::FailedPreconditionError(absl::StrCat(
        "job ", view->job(), " is ", JobState_Name(view->state()), " again: ", view->reason())));
  }
  *response = *std::move(view);
  return grpc::Status::OK;
}

grpc::Status CoordinatorService::GetJob(Context*, const JobRequest* request, Job* response) {
  return Answer(core_->With([&](CoordinatorCore& core) { return core.View(request->job()); }),
                response);
}

grpc::Status CoordinatorService::ListJobs(Context*, const ListJobsRequest*,
                                          ListJobsResponse* response) {
  core_->With([&](CoordinatorCore& core) {
    for (const JobRecord& job : core.state().jobs()) *response->add_jobs() = *core.View(job.job());
  });
  return grpc::Status::OK;
}

grpc::Status CoordinatorService::ListNodes(Context*, const ListNodesRequest*,
                                           ListNodesResponse* response) {
  core_->With([&](CoordinatorCore& core) {
    for (const Node& node : core.Nodes()) *response->add_nodes() = node;
  });
  return grpc::Status::OK;
}

grpc::Status CoordinatorService::ListCheckpoints(Context*, const JobRequest* request,
                                                 ListCheckpointsResponse* response) {
  return ToGrpcStatus(core_->With([&](CoordinatorCore& core) -> absl::Status {
    CAROUSEL_RETURN_IF_ERROR(core.View(request->job()).status());
    *response = ViewCheckpoints(*FindJob(core.state(), request->job()));
    return absl::OkStatus();
  }));
}

grpc::Status CoordinatorService::WatchJob(Context* context, const JobRequest* request,
                                          Writer<Job>* writer) {
  std::string shown;
  while (true) {
    absl::StatusOr<Job> view = WaitFor(
        context, request->job(), [&](const Job& job) { return job.SerializeAsString() != shown; });
    if (!view.ok()) return ToGrpcStatus(view.status());
    if (!writer->Write(*view) || IsAtRest(view->state())) return grpc::Status::OK;
    shown = view->SerializeAsString();
  }
}

grpc::Status CoordinatorService::StreamLogs(Context* context, const LogsRequest* request,
                                            Writer<LogEntry>* writer) {
  if (!request->job().empty()) {
    const absl::Status known =
        core_->With([&](CoordinatorCore& core) { return core.View(request->job()).status(); });
    if (!known.ok()) return ToGrpcStatus(known);
  }
  std::vector<LogLine> lines = ProcessLog().Since(0, SIZE_MAX);
  int64_t seen = lines.empty() ? 0 : lines.back().sequence;
  std::erase_if(lines, [&](const LogLine& line) { return !Concerns(line, request->job()); });
  const size_t tail = request->tail() > 0 ? request->tail() : lines.size();
  size_t first = lines.size() > tail ? lines.size() - tail : 0;
  while (true) {
    for (size_t i = first; i < lines.size(); ++i) {
      LogEntry entry;
      entry.set_line(FormatLogLine(lines[i]));
      if (Concerns(lines[i], request->job()) && !writer->Write(entry)) return grpc::Status::OK;
    }
    if (!request->follow() || context->IsCancelled()) return grpc::Status::OK;
    std::this_thread::sleep_for(kLogPoll);
    lines = ProcessLog().Since(seen, SIZE_MAX);
    first = 0;
    if (!lines.empty()) seen = lines.back().sequence;
  }
}

grpc::Status CoordinatorService::Evaluate(Context* context, const EvaluateRequest* request,
                                          Writer<EvaluateProgress>* writer) {
  absl::StatusOr<CheckpointCall> call = core_->With(
      [&](CoordinatorCore& core) { return CallOn(core, request->job(), request->step()); });
  if (!call.ok()) return ToGrpcStatus(call.status());
  return ForwardEvaluate(*call, *request, context, writer);
}

grpc::Status CoordinatorService::Generate(Context* context, const GenerateRequest* request,
                                          Writer<GeneratedText>* writer) {
  absl::StatusOr<CheckpointCall> call = core_->With(
      [&](CoordinatorCore& core) { return CallOn(core, request->job(), request->step()); });
  if (!call.ok()) return ToGrpcStatus(call.status());
  return ForwardGenerate(*call, *request, context, writer);
}

grpc::Status CoordinatorService::GetVersion(Context*, const GetVersionRequest*, Version* response) {
  response->set_version(std::string(kVersion));
  response->set_cluster_id(core_->With([](CoordinatorCore& core) { return core.cluster_id(); }));
  return grpc::Status::OK;
}

}  // namespace carousel
