#include "worker/service.h"

#include <grpcpp/grpcpp.h>

#include <memory>
#include <utility>

#include "cluster/mutex.h"
#include "cluster/rpc_status.h"
#include "cluster/status_macros.h"
#include "kernels/backend.h"
#include "worker/incoming_edge.h"
#include "worker/inference.h"
#include "worker/lost_peer.h"
#include "worker/shard_exchange.h"

namespace carousel {
namespace {

using FrameStream = grpc::ServerReaderWriter<Credit, Frame>;

// Credits are given back from whichever thread consumed a tensor, perhaps after the stream has
// ended.
class CreditGiver {
 public:
  explicit CreditGiver(FrameStream* stream) : stream_(stream) {}

  void Give(int tensors) {
    MutexLock lock(&mutex_);
    Credit credit;
    credit.set_tensors(tensors);
    if (stream_ != nullptr) stream_->Write(credit);
  }
  void Close() {
    MutexLock lock(&mutex_);
    stream_ = nullptr;
  }

 private:
  Mutex mutex_;
  FrameStream* stream_ ABSL_GUARDED_BY(mutex_);
};

// Ends a stream, perhaps after it has ended by itself.
class StreamEnder {
 public:
  explicit StreamEnder(grpc::ServerContext* context) : context_(context) {}

  void End() {
    MutexLock lock(&mutex_);
    if (context_ != nullptr) context_->TryCancel();
  }
  void Close() {
    MutexLock lock(&mutex_);
    context_ = nullptr;
  }

 private:
  Mutex mutex_;
  grpc::ServerContext* context_ ABSL_GUARDED_BY(mutex_);
};

absl::Status ReceiveFrames(GrpcTransport& transport, int from_stage, FrameStream* stream,
                           const std::shared_ptr<CreditGiver>& credits) {
  IncomingEdge edge(transport.options(), from_stage);
  Frame frame;
  while (stream->Read(&frame)) {
    CAROUSEL_ASSIGN_OR_RETURN(std::optional<IncomingEdge::Tensor> tensor, edge.Add(frame));
    if (!tensor.has_value()) continue;
    transport.inbox().Deliver(from_stage, tensor->tag, std::move(tensor->bytes),
                              [credits] { credits->Give(1); });
  }
  return LostStageError(
      from_stage, absl::StrCat("stage ", from_stage, " (worker at ",
                               transport.options().addresses[from_stage], ") closed its edge"));
}

// Who has set the flag has the turn, as long as this lives.
class Turn {
 public:
  explicit Turn(std::atomic<bool>* taken) : taken_(taken), mine_(!taken->exchange(true)) {}
  ~Turn() {
    if (mine_) *taken_ = false;
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  bool mine() const { return mine_; }

 private:
  std::atomic<bool>* const taken_;
  const bool mine_;
};

}  // namespace

grpc::Status WorkerService::Exchange(grpc::ServerContext* context, FrameStream* stream) {
  Frame open;
  if (!stream->Read(&open) || open.kind() != OPEN)
    return ToGrpcStatus(absl::InvalidArgumentError("an edge begins with a frame of kind OPEN"));
  absl::StatusOr<std::shared_ptr<GrpcTransport>> transport =
      transports_->Find(open.job(), open.epoch());
  if (!transport.ok()) return ToGrpcStatus(transport.status());
  const absl::Status accepted = (*transport)->AcceptEdge(open.from_stage(), open.to_stage());
  if (!accepted.ok()) return ToGrpcStatus(accepted);
  auto credits = std::make_shared<CreditGiver>(stream);
  credits->Give((*transport)->options().credits);
  // A stage that is over reads no more; whoever still writes to it must not wait for its credits.
  auto ender = std::make_shared<StreamEnder>(context);
  (*transport)->inbox().aborted().OnReady([ender](const absl::Status&) { ender->End(); });
  const absl::Status ended = ReceiveFrames(**transport, open.from_stage(), stream, credits);
  credits->Close();
  ender->Close();
  (*transport)->inbox().Abort(ended);  // nothing, if the epoch is over anyway
  return ToGrpcStatus(ended);
}

grpc::Status WorkerService::ReadShard(grpc::ServerContext*, const ReadShardRequest* request,
                                      grpc::ServerWriter<ShardPiece>* writer) {
  const ShardId shard = {request->job(), request->step(), static_cast<uint32_t>(request->unit())};
  return ToGrpcStatus(StreamShard(
      *shards_, shard, [writer](const ShardPiece& piece) { return writer->Write(piece); }));
}

absl::Status WorkerService::Infer(grpc::ServerContext* context,
                                  const std::function<absl::Status(const InferenceParts&)>& work) {
  const Turn turn(&infers_);
  if (!turn.mine()) {
    return absl::ResourceExhaustedError(
        "it already evaluates or generates for another caller; try again when that is done");
  }
  CAROUSEL_ASSIGN_OR_RETURN(const std::unique_ptr<kernels::Backend> backend,
                            kernels::NewBackend(backend_, threads_));
  return work({.backend = backend.get(), .shards = shards_, .cancelled = [context] {
                 return context->IsCancelled();
               }});
}

grpc::Status WorkerService::Evaluate(grpc::ServerContext* context,
                                     const WorkerEvaluateRequest* request,
                                     grpc::ServerWriter<EvaluateProgress>* writer) {
  return ToGrpcStatus(Infer(context, [&](const InferenceParts& parts) {
    return EvaluateCheckpoint(*request, parts, [writer](const EvaluateProgress& progress) {
      return writer->Write(progress);
    });
  }));
}

grpc::Status WorkerService::Generate(grpc::ServerContext* context,
                                     const WorkerGenerateRequest* request,
                                     grpc::ServerWriter<GeneratedText>* writer) {
  return ToGrpcStatus(Infer(context, [&](const InferenceParts& parts) {
    return GenerateText(*request, parts, [writer](const std::string& text) {
      GeneratedText piece;
      piece.set_text(text);
      return writer->Write(piece);
    });
  }));
}

}  // namespace carousel
