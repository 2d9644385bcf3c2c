// Shards on their way between workers: out of this worker's store, to whoever asks, and into a
// stage, from this store or another worker's.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "cluster/shard_store.h"
#include "proto/coordinator.pb.h"
#include "proto/worker.pb.h"
#include "worker/remote_shard.h"
#include "worker/snapshot.h"

namespace carousel {

// Errors as ShardStore::OpenShard.
absl::StatusOr<std::unique_ptr<ShardSource>> OpenLocalShard(const ShardStore& shards,
                                                            const ShardId& shard);

// Calls `send` with the record and then every chunk, until it returns false.
absl::Status StreamShard(const ShardStore& shards, const ShardId& shard,
                         const std::function<bool(const ShardPiece&)>& send);

// Fills every unit of the stage from the manifest's shards, from this store where it has them
// whole, else from their holders. Errors: a holder that is needed and cannot be reached
// (LostWorkerOf); a shard that is damaged or gone (IsUnreadableShard); kCancelled.
absl::Status RestoreStage(Stage& stage, const ShardStore& shards, const Manifest& manifest,
                          const google::protobuf::RepeatedPtrField<Holder>& holders,
                          const RemoteRead& how = {});

}  // namespace carousel
