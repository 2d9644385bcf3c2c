// The clients' door: gRPC calls to the core and back, and nothing decided on the way. Calls that
// return once something has happened wait for it here, as long as the caller does.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <string>

#include "cluster/job/resolve.h"
#include "coordinator/locked_core.h"
#include "proto/coordinator.grpc.pb.h"

namespace carousel {

class CoordinatorService : public carousel::Coordinator::Service {
 public:
  // `core` outlives the service.
  CoordinatorService(LockedCore* core, DatasetProbe probe)
      : core_(core), probe_(std::move(probe)) {}

  template <typename T>
  using Writer = grpc::ServerWriter<T>;
  using Context = grpc::ServerContext;

  grpc::Status SubmitJob(Context*, const SubmitJobRequest*, SubmitJobResponse*) override;
  grpc::Status PauseJob(Context*, const JobRequest*, Job*) override;
  grpc::Status CancelJob(Context*, const JobRequest*, Job*) override;
  grpc::Status ResumeJob(Context*, const ResumeJobRequest*, Job*) override;
  grpc::Status GetJob(Context*, const JobRequest*, Job*) override;
  grpc::Status ListJobs(Context*, const ListJobsRequest*, ListJobsResponse*) override;
  grpc::Status ListNodes(Context*, const ListNodesRequest*, ListNodesResponse*) override;
  grpc::Status ListCheckpoints(Context*, const JobRequest*, ListCheckpointsResponse*) override;
  grpc::Status WatchJob(Context*, const JobRequest*, Writer<Job>*) override;
  grpc::Status StreamLogs(Context*, const LogsRequest*, Writer<LogEntry>*) override;
  grpc::Status Evaluate(Context*, const EvaluateRequest*, Writer<EvaluateProgress>*) override;
  grpc::Status Generate(Context*, const GenerateRequest*, Writer<GeneratedText>*) override;
  grpc::Status GetVersion(Context*, const GetVersionRequest*, Version*) override;

 private:
  absl::Status Resume(const ResumeJobRequest& request);
  // Asks with `ask`, then waits until the job is not about to stop any more.
  absl::StatusOr<Job> Stop(Context* context, const JobRequest& request,
                           absl::Status (CoordinatorCore::*ask)(const std::string& request_id,
                                                                const std::string& job));
  // Waits until `done` of the job's view; then that view. CANCELLED if the caller left,
  // UNAVAILABLE if the coordinator stops.
  absl::StatusOr<Job> WaitFor(Context* context, const std::string& job,
                              const std::function<bool(const Job&)>& done);

  LockedCore* const core_;
  const DatasetProbe probe_;
};

}  // namespace carousel
