#include "worker/remote_shard.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/channel.h"
#include "cluster/rpc_status.h"
#include "cluster/shard_record.h"
#include "cluster/state_digest.h"
#include "cluster/status_macros.h"
#include "proto/worker.grpc.pb.h"
#include "worker/lost_peer.h"

namespace carousel {
namespace {

using std::chrono::steady_clock;

constexpr auto kPoll = std::chrono::milliseconds(100);

// A piece is a chunk of the widest elements, or a record: 16 bytes for each granule of a unit.
constexpr int kMaxPieceBytes = kChunkElements * sizeof(double) + (16 << 20);

class RemoteShard : public ShardSource {
 public:
  RemoteShard(std::string holder, const std::string& address, RemoteRead how)
      : holder_(std::move(holder)),
        how_(std::move(how)),
        stub_(Worker::NewStub(
            OpenChannel(address, {.lease = how_.lease, .max_message_bytes = kMaxPieceBytes}))) {}
  ~RemoteShard() override { context_.TryCancel(); }

  absl::Status Open(const ShardId& shard) {
    ReadShardRequest request;
    request.set_job(shard.job);
    request.set_step(shard.step);
    request.set_unit(static_cast<int>(shard.unit));
    stream_ = stub_->PrepareAsyncReadShard(&context_, request, &queue_);
    stream_->StartCall(nullptr);
    ShardPiece piece;
    if (!Completes() || !Read(&piece)) return Broken();
    record_ = piece.record();
    CAROUSEL_RETURN_IF_ERROR(CheckLayout(record_));
    return VerifyRecord(record_);
  }

  const ShardRecord& record() const override { return record_; }

  absl::StatusOr<std::string> NextChunk() override {
    ShardPiece piece;
    if (!Read(&piece)) return Broken();
    return std::move(*piece.mutable_chunk());
  }

 private:
  bool Read(ShardPiece* piece) {
    stream_->Read(piece, nullptr);
    return Completes();
  }

  // Waits for the operation under way, which is one at a time; false if it failed. An operation
  // that is given up is cancelled, then waited for like any other.
  bool Completes() {
    const auto give_up = steady_clock::now() + std::chrono::duration<double>(how_.patience);
    void* tag = nullptr;
    bool ok = false;
    while (queue_.AsyncNext(&tag, &ok, std::chrono::system_clock::now() + kPoll) ==
           grpc::CompletionQueue::TIMEOUT) {
      if (!given_up_.ok()) continue;
      if (how_.cancelled && how_.cancelled()) {
        given_up_ = absl::CancelledError("the restore was cancelled");
      } else if (steady_clock::now() > give_up) {
        given_up_ = LostWorkerError(
            holder_, absl::StrCat("worker ", holder_, " sent nothing of a shard for ",
                                  how_.patience, " s; look at its log and its disk"));
      }
      if (!given_up_.ok()) context_.TryCancel();
    }
    return ok;
  }

  // Why the stream is over.
  absl::Status Broken() {
    grpc::Status status;
    stream_->Finish(&status, nullptr);
    Completes();
    if (!given_up_.ok()) return given_up_;
    const absl::Status said = FromGrpcStatus(status);
    const std::string message =
        absl::StrCat("cannot read a shard from worker ", holder_, ": ",
                     said.ok() ? "it ended too early" : absl::string_view(said.message()));
    if (said.ok() || absl::IsDataLoss(said) || absl::IsNotFound(said))
      return UnreadableShardError(message);
    if (IsPeerGone(said)) return LostWorkerError(holder_, message);
    return absl::Status(said.code(), message);
  }

  const std::string holder_;
  const RemoteRead how_;
  std::unique_ptr<Worker::Stub> stub_;
  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::ClientAsyncReader<ShardPiece>> stream_;
  absl::Status given_up_;
  ShardRecord record_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ShardSource>> OpenRemoteShard(const std::string& holder,
                                                             const std::string& address,
                                                             const ShardId& shard,
                                                             const RemoteRead& how) {
  auto source = std::make_unique<RemoteShard>(holder, address, how);
  CAROUSEL_RETURN_IF_ERROR(source->Open(shard));
  return source;
}

}  // namespace carousel
