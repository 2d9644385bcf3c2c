// The worker's side of a checkpoint: shards of jobs in this worker's store.
//
// A shard comes to be in this order, each line durable before the next, and only the last makes it
// exist:
//   1. chunks go to a file beside the store (ShardWriter::Add);
//   2. a record with prepared = false says that chunks may follow;
//   3. the file is added to the store as one;
//   4. the record again, prepared = true, with all digests. Now it may be acknowledged.
// Killed anywhere, the record tells: whatever is not prepared is swept, and no chunk is without a
// record. It goes in the opposite order. A prepared shard counts only if a manifest of the
// coordinator names it (cluster/manifest_store.h).
//
// Epochs fence: once a greater epoch of a job was seen, a shard written under an older one is
// refused here, whoever sends it.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cluster/clock.h"
#include "cluster/keys.h"
#include "cluster/mutex.h"
#include "cluster/shard_record.h"
#include "cluster/state_digest.h"
#include "cluster/store.h"
#include "proto/checkpoint.pb.h"

namespace carousel {

class ShardStore;

// Writes one shard. One thread at a time; must not outlive its ShardStore. Dropped without Finish,
// it leaves nothing.
class ShardWriter {
 public:
  // Chunks come in key order, every one of the layout, each of its exact size; kInvalidArgument
  // names what was expected instead.
  absl::Status Add(const ChunkPlace& place, std::string_view bytes);

  // Makes the shard durable and returns its record. `running` is the unit's digest as the optimizer
  // computed it: kDataLoss if the bytes that were added give another, for then the copy is not the
  // state. A shard that is prepared already with the same digest is kept (if it still reads well);
  // with another digest the new one is refused, kFailedPrecondition: a replay that differs is for
  // people to see.
  absl::StatusOr<ShardRecord> Finish(const Digest& running);

 private:
  friend class ShardStore;
  ShardWriter(ShardStore* shards, ShardRecord record, std::unique_ptr<Store::Ingest> ingest);

  ShardStore* const shards_;
  ShardRecord record_;
  const std::vector<ChunkSpan> chunks_;
  size_t next_ = 0;  // of chunks_
  std::unique_ptr<Store::Ingest> ingest_;
};

// Reads one prepared shard, checking every chunk against the record. Thread-safe; must not outlive
// its ShardStore.
class ShardReader {
 public:
  const ShardRecord& record() const { return record_; }  // verified

  // kDataLoss names store, tensor, part, chunk and granule; kNotFound if it is outside the layout.
  absl::StatusOr<std::string> ReadChunk(const ChunkPlace& place) const;

  // Reads everything; the first damage found.
  absl::Status Verify() const;

 private:
  friend class ShardStore;
  ShardReader(const Store* store, ShardRecord record) : store_(store), record_(std::move(record)) {}

  const Store* const store_;
  const ShardRecord record_;
};

// Thread-safe. The store outlives it. Job ids from outside are checked; errors name the store.
class ShardStore {
 public:
  explicit ShardStore(Store* store, const Clock& clock = Clock::Real())
      : store_(store), clock_(clock) {}

  // Persists a job's epoch before it is used: kFailedPrecondition if a greater one was seen,
  // nothing to do if it is the present one.
  absl::Status RaiseEpoch(std::string_view job, int64_t epoch);
  absl::StatusOr<int64_t> Epoch(std::string_view job) const;  // 0 if none was seen
  // The greatest of all jobs: a coordinator that knows none as great has lost its history.
  absl::StatusOr<int64_t> NewestEpoch() const;

  // `draft` has job, step, unit, unit_name, epoch, contract_hash and the tensors' names, shapes and
  // parts. kResourceExhausted before anything is written if the disk cannot hold it.
  absl::StatusOr<std::unique_ptr<ShardWriter>> NewShard(ShardRecord draft);

  // kNotFound, naming the store, if the shard is absent or not prepared; kDataLoss if its record
  // does not verify.
  absl::StatusOr<std::unique_ptr<ShardReader>> OpenShard(const ShardId& shard) const;

  // The records of all jobs in key order, also of shards that are not prepared.
  absl::StatusOr<std::vector<ShardRecord>> List() const;

  // Removes the job's shards of all steps but `committed`, and what a crash left half done, but
  // touches no step from `in_flight` on: a checkpoint may be under way there. Returns how many
  // shards went.
  absl::StatusOr<int> Sweep(std::string_view job, const std::set<int64_t>& committed,
                            std::optional<int64_t> in_flight = std::nullopt);

 private:
  friend class ShardWriter;

  absl::Status Publish(const ShardRecord& record, Store::Ingest& ingest);
  absl::Status Replace(const ShardRecord& record, Store::Ingest& ingest)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Remove(ShardRecord record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Put(const ShardRecord& record);
  absl::StatusOr<std::optional<ShardRecord>> Find(const ShardId& shard) const;
  absl::Status CheckEpoch(const ShardRecord& record) const;

  Store* const store_;
  const Clock& clock_;
  Mutex mutex_;  // one change of the shards or epochs at a time
};

}  // namespace carousel
