#include "worker/shard_exchange.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/shard_record.h"
#include "cluster/status_macros.h"
#include "worker/lost_peer.h"

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

std::string AddressOf(const std::string& worker,
                      const google::protobuf::RepeatedPtrField<Holder>& holders) {
  for (const Holder& holder : holders) {
    if (holder.worker() == worker) return holder.address();
  }
  return "";
}

// One unit of a checkpoint, and where the manifest says it lies.
struct WantedUnit {
  ShardId shard;
  int unit = 0;
  const ShardRef* ref = nullptr;
  Digest digest;
};

absl::Status RestoreFromHere(Stage& stage, const ShardStore& shards, const WantedUnit& wanted) {
  CAROUSEL_ASSIGN_OR_RETURN(const std::unique_ptr<ShardSource> source,
                            OpenLocalShard(shards, wanted.shard));
  return RestoreUnit(stage, wanted.unit, wanted.digest, *source);
}

absl::Status RestoreFromHolder(Stage& stage, const WantedUnit& wanted, const std::string& address,
                               const RemoteRead& how) {
  const std::string& holder = wanted.ref->holder();
  if (address.empty()) {
    return LostWorkerError(
        holder, absl::StrCat("unit ", wanted.ref->unit_name(), " of step ", wanted.shard.step,
                             " is held by worker ", holder,
                             ", which is not attached; start it again with its state folder"));
  }
  CAROUSEL_ASSIGN_OR_RETURN(const std::unique_ptr<ShardSource> source,
                            OpenRemoteShard(holder, address, wanted.shard, how));
  return RestoreUnit(stage, wanted.unit, wanted.digest, *source);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ShardSource>> OpenLocalShard(const ShardStore& shards,
                                                            const ShardId& shard) {
  CAROUSEL_ASSIGN_OR_RETURN(std::unique_ptr<ShardReader> reader, shards.OpenShard(shard));
  return std::make_unique<LocalShard>(std::move(reader));
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
                          const google::protobuf::RepeatedPtrField<Holder>& holders,
                          const RemoteRead& how) {
  for (int unit = stage.first_unit(); unit < stage.end_unit(); ++unit) {
    if (how.cancelled && how.cancelled()) return absl::CancelledError("the restore was cancelled");
    if (unit >= manifest.units_size()) {
      return UnreadableShardError(
          absl::StrCat("the manifest of step ", manifest.step(), " has no unit ", unit));
    }
    WantedUnit wanted = {.shard = {manifest.job(), manifest.step(), static_cast<uint32_t>(unit)},
                         .unit = unit,
                         .ref = &manifest.units(unit)};
    CAROUSEL_ASSIGN_OR_RETURN(
        wanted.digest, DigestFromBytes(wanted.ref->digest(),
                                       absl::StrCat("digest of unit ", unit, " in the manifest")));
    if (RestoreFromHere(stage, shards, wanted).ok()) continue;
    const absl::Status restored =
        RestoreFromHolder(stage, wanted, AddressOf(wanted.ref->holder(), holders), how);
    if (absl::IsDataLoss(restored)) return UnreadableShardError(std::string(restored.message()));
    CAROUSEL_RETURN_IF_ERROR(restored);
  }
  return absl::OkStatus();
}

}  // namespace carousel
