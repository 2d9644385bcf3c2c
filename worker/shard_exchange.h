// Shards on their way between workers: read from this worker's store, or from another worker over
// gRPC.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "cluster/shard_store.h"
#include "proto/coordinator.pb.h"
#include "proto/worker.pb.h"
#include "worker/snapshot.h"

namespace carousel {

// Errors as ShardStore::OpenShard.
absl::StatusOr<std::unique_ptr<ShardSource>> OpenLocalShard(const ShardStore& shards,
                                                            const ShardId& shard);

// Connects to the worker that serves the shard; kUnavailable names it. The record is verified.
absl::StatusOr<std::unique_ptr<ShardSource>> OpenRemoteShard(const std::string& holder,
                                                             const std::string& address,
                                                             const ShardId& shard);

// Calls `send` with the record and then every chunk, until it returns false.
absl::Status StreamShard(const ShardStore& shards, const ShardId& shard,
                         const std::function<bool(const ShardPiece&)>& send);

// Fills every unit of the stage from the manifest's shards, from this store where it has them, else
// from their holders. A holder that is needed and not attached is an error that names it.
absl::Status RestoreStage(Stage& stage, const ShardStore& shards, const Manifest& manifest,
                          const google::protobuf::RepeatedPtrField<Holder>& holders);

}  // namespace carousel
