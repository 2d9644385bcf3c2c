#include "worker/shard_exchange.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/shard_record.h"
#include "cluster/status_macros.h"
#include "proto/worker.grpc.pb.h"

namespace carousel {
namespace {

class LocalShard : public ShardSource {
 public:
  explicit LocalShard(std::unique_ptr<ShardReader> reader)
      : reader_(std::move(reader)), chunks_(ChunksOf(reader_->record())) {}

  const ShardRecord& record() const override { return reader_->record(); }
  absl::StatusOr<std::string> NextChunk() override {
    return reader_->ReadChunk(chunks_[next_++].place);
  }

 private:
  std::unique_ptr<ShardReader> reader_;
  const std::vector<ChunkSpan> chunks_;
  size_t next_ = 0;
};

class RemoteShard : public ShardSource {
 public:
  RemoteShard(std::string holder, const std::string& address)
      : holder_(std::move(holder)),
        stub_(Worker::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()))) {}

  absl::Status Open(const ShardId& shard) {
    ReadShardRequest request;
    request.set_job(shard.job);
    request.set_step(shard.step);
    request.set_unit(shard.unit);
    stream_ = stub_->ReadShard(&context_, request);
    ShardPiece piece;
    if (!stream_->Read(&piece)) return Broken();
    record_ = piece.record();
    CAROUSEL_RETURN_IF_ERROR(CheckLayout(record_));
    return VerifyRecord(record_);
  }

  const ShardRecord& record() const override { return record_; }

  absl::StatusOr<std::string> NextChunk() override {
    ShardPiece piece;
    if (!stream_->Read(&piece)) return Broken();
    return std::move(*piece.mutable_chunk());
  }

 private:
  absl::Status Broken() {
    const grpc::Status status = stream_->Finish();
    return absl::UnavailableError(
        absl::StrCat("cannot read a shard from worker ", holder_, ": ", status.error_message()));
  }

  const std::string holder_;
  std::unique_ptr<Worker::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<ShardPiece>> stream_;
  ShardRecord record_;
};

std::string AddressOf(const std::string& worker,
                      const google::protobuf::RepeatedPtrField<Holder>& holders) {
  for (const Holder& holder : holders) {
    if (holder.worker() == worker) return holder.address();
  }
  return "";
}

}  // namespace

absl::StatusOr<std::unique_ptr<ShardSource>> OpenLocalShard(const ShardStore& shards,
                                                            const ShardId& shard) {
  CAROUSEL_ASSIGN_OR_RETURN(std::unique_ptr<ShardReader> reader, shards.OpenShard(shard));
  return std::make_unique<LocalShard>(std::move(reader));
}

absl::StatusOr<std::unique_ptr<ShardSource>> OpenRemoteShard(const std::string& holder,
                                                             const std::string& address,
                                                             const ShardId& shard) {
  auto source = std::make_unique<RemoteShard>(holder, address);
  CAROUSEL_RETURN_IF_ERROR(source->Open(shard));
  return source;
}

absl::Status StreamShard(const ShardStore& shards, const ShardId& shard,
                         const std::function<bool(const ShardPiece&)>& send) {
  CAROUSEL_ASSIGN_OR_RETURN(std::unique_ptr<ShardReader> reader, shards.OpenShard(shard));
  ShardPiece piece;
  *piece.mutable_record() = reader->record();
  if (!send(piece)) return absl::OkStatus();
  piece.clear_record();
  for (const ChunkSpan& chunk : ChunksOf(reader->record())) {
    CAROUSEL_ASSIGN_OR_RETURN(*piece.mutable_chunk(), reader->ReadChunk(chunk.place));
    if (!send(piece)) return absl::OkStatus();
  }
  return absl::OkStatus();
}

absl::Status RestoreStage(Stage& stage, const ShardStore& shards, const Manifest& manifest,
                          const google::protobuf::RepeatedPtrField<Holder>& holders) {
  for (int unit = stage.first_unit(); unit < stage.end_unit(); ++unit) {
    if (unit >= manifest.units_size())
      return absl::DataLossError(
          absl::StrCat("the manifest of step ", manifest.step(), " has no unit ", unit));
    const ShardRef& ref = manifest.units(unit);
    CAROUSEL_ASSIGN_OR_RETURN(
        const Digest digest,
        DigestFromBytes(ref.digest(), absl::StrCat("digest of unit ", unit, " in the manifest")));
    const ShardId id = {manifest.job(), manifest.step(), static_cast<uint32_t>(unit)};
    absl::StatusOr<std::unique_ptr<ShardSource>> source = OpenLocalShard(shards, id);
    if (!source.ok() || (*source)->record().digest() != ref.digest()) {
      const std::string address = AddressOf(ref.holder(), holders);
      if (address.empty()) {
        return absl::FailedPreconditionError(absl::StrCat(
            "unit ", ref.unit_name(), " of step ", manifest.step(), " is held by worker ",
            ref.holder(), ", which is not attached; start it again with its state folder"));
      }
      source = OpenRemoteShard(ref.holder(), address, id);
    }
    if (!source.ok()) return source.status();
    CAROUSEL_RETURN_IF_ERROR(RestoreUnit(stage, unit, digest, **source));
  }
  return absl::OkStatus();
}

}  // namespace carousel
