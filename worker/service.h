// WorkerService: what other workers and the coordinator call on this worker (proto/worker.proto):
// tensors of running epochs, stored shards, evaluation and text. A thin shell.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <utility>

#include "cluster/shard_store.h"
#include "proto/worker.grpc.pb.h"
#include "worker/grpc_transport.h"
#include "worker/inference.h"

namespace carousel {

// Called by gRPC on any number of threads. What it is given outlives it.
class WorkerService : public Worker::Service {
 public:
  // `backend` and `threads`: of the backend that evaluation and text generation get for themselves.
  WorkerService(TransportRegistry* transports, const ShardStore* shards, std::string backend,
                int threads)
      : transports_(transports), shards_(shards), backend_(std::move(backend)), threads_(threads) {}

  grpc::Status Exchange(grpc::ServerContext* context,
                        grpc::ServerReaderWriter<Credit, Frame>* stream) override;
  grpc::Status ReadShard(grpc::ServerContext* context, const ReadShardRequest* request,
                         grpc::ServerWriter<ShardPiece>* writer) override;
  // Evaluation or text, one call at a time: each holds a whole model and computes with all threads.
  // Another caller meanwhile is refused with RESOURCE_EXHAUSTED.
  grpc::Status Evaluate(grpc::ServerContext* context, const WorkerEvaluateRequest* request,
                        grpc::ServerWriter<EvaluateProgress>* writer) override;
  grpc::Status Generate(grpc::ServerContext* context, const WorkerGenerateRequest* request,
                        grpc::ServerWriter<GeneratedText>* writer) override;

 private:
  absl::Status Infer(grpc::ServerContext* context,
                     const std::function<absl::Status(const InferenceParts&)>& work);

  TransportRegistry* const transports_;
  const ShardStore* const shards_;
  const std::string backend_;
  const int threads_;
  std::atomic<bool> infers_{false};
};

}  // namespace carousel
