// Calls that the coordinator passes on: evaluating a checkpoint and generating from it take the
// mathematics, which workers have.
#pragma once

#include <grpcpp/grpcpp.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/core.h"
#include "proto/coordinator.pb.h"
#include "proto/worker.grpc.pb.h"

namespace carousel {

// A checkpoint, where its shards are served, and the workers without a stage that could do it.
struct CheckpointCall {
  struct Candidate {
    std::string worker;
    std::string address;
  };
  std::vector<Candidate> candidates;  // at least one
  JobSpec spec;
  Manifest manifest;
  std::vector<Holder> holders;
  std::string warning;  // of newer checkpoints that do not verify; comes with every answer
};

// `step` 0 takes the newest checkpoint. kInvalidArgument if it can be no step; kNotFound if there
// is none such; kFailedPrecondition names holders that are not attached; kUnavailable if every
// worker has a stage.
absl::StatusOr<CheckpointCall> CallOn(const CoordinatorCore& core, const std::string& job,
                                      int64_t step);

// Run until the worker or the caller ends the stream. A candidate does one such call at a time, so
// one that refuses because of another caller gives way to the next. Errors name the worker.
grpc::Status ForwardEvaluate(const CheckpointCall& call, const EvaluateRequest& request,
                             grpc::ServerContext* context,
                             grpc::ServerWriter<EvaluateProgress>* writer);
grpc::Status ForwardGenerate(const CheckpointCall& call, const GenerateRequest& request,
                             grpc::ServerContext* context,
                             grpc::ServerWriter<GeneratedText>* writer);

}  // namespace carousel
