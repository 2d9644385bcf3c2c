// Snapshot: a stage's state at a step boundary, on its way from the device to the worker's store,
// and back.
//
// Taking it is the only stall of a checkpoint; writing goes on beside training.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cluster/shard_store.h"
#include "cluster/state_digest.h"
#include "proto/checkpoint.pb.h"
#include "worker/stage.h"

namespace carousel {

// Whose state it is.
struct SnapshotLabel {
  std::string job;
  int64_t epoch = 0;
  int64_t step = 0;
  std::string contract_hash;
};

// Plain host memory; may be handed to another thread.
class Snapshot {
 public:
  // Copies every weight and moment of the stage. `digests` are the units' as of now
  // (Optimizer::UnitDigests). Waits for the device.
  static absl::StatusOr<Snapshot> Take(const Stage& stage, SnapshotLabel label,
                                       std::vector<Digest> digests);

  // Writes one shard for each unit; durable when it returns. The digests are computed again from
  // what is written: a copy that is not the state is kDataLoss.
  absl::StatusOr<std::vector<ShardRecord>> Write(ShardStore& shards) const;

  const SnapshotLabel& label() const { return label_; }

 private:
  struct UnitCopy {
    ShardRecord draft;                            // layout
    std::vector<std::vector<std::string>> parts;  // [tensor][part] bytes
    Digest digest;
  };
  SnapshotLabel label_;
  std::vector<UnitCopy> units_;
};

// A shard that is read piece by piece: its record, verified, then its chunks in key order.
class ShardSource {
 public:
  virtual ~ShardSource() = default;
  virtual const ShardRecord& record() const = 0;
  virtual absl::StatusOr<std::string> NextChunk() = 0;
};

// Fills unit `unit` of the stage (counted in the model) from a shard whose digest must be
// `expected`; every chunk is verified before it goes to the device. A stage that is forward only
// takes the weights. kDataLoss and kFailedPrecondition name unit and tensor.
absl::Status RestoreUnit(Stage& stage, int unit, const Digest& expected, ShardSource& source);

}  // namespace carousel
