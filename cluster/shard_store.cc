#include "cluster/shard_store.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cluster/status_macros.h"

namespace carousel {
namespace {

constexpr uint32_t kFormatVersion = 1;

absl::StatusOr<ShardRecord> ParseRecord(const Store& store, std::string_view bytes) {
  ShardRecord record;
  if (!record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::DataLossError(store.Name() + ": a shard's record cannot be read");
  }
  if (record.format_version() > kFormatVersion) {
    return absl::FailedPreconditionError(absl::StrCat(store.Name(), ": ", Describe(record),
                                                      " has format ", record.format_version(),
                                                      "; this build reads up to ", kFormatVersion));
  }
  return record;
}

absl::Status Named(const Store& store, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(store.Name(), ": ", status.message()));
}

}  // namespace

// --- ShardWriter ---

ShardWriter::ShardWriter(ShardStore* shards, ShardRecord record,
                         std::unique_ptr<Store::Ingest> ingest)
    : shards_(shards),
      record_(std::move(record)),
      chunks_(ChunksOf(record_)),
      ingest_(std::move(ingest)) {}

absl::Status ShardWriter::Add(const ChunkPlace& place, std::string_view bytes) {
  if (next_ == chunks_.size()) {
    return absl::InvalidArgumentError(Describe(record_, place) + ": the shard is complete already");
  }
  const ChunkSpan& expected = chunks_[next_];
  if (place != expected.place || static_cast<int64_t>(bytes.size()) != expected.bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(Describe(record_, place), " of ", bytes.size(), " bytes came; expected was ",
                     Describe(record_, expected.place), " of ", expected.bytes, " bytes"));
  }
  TensorRecord& tensor = *record_.mutable_tensors(place.tensor);
  for (PartRecord& part : *tensor.mutable_parts()) {
    if (part.part() != static_cast<int>(place.part)) continue;
    for (const Digest& digest : GranuleDigests(record_, place, bytes)) {
      part.mutable_granule_digests()->append(digest.AsBytes());
    }
  }
  CAROUSEL_RETURN_IF_ERROR(ingest_->Add(ChunkKey(IdOf(record_), place), bytes));
  ++next_;
  return absl::OkStatus();
}

absl::StatusOr<ShardRecord> ShardWriter::Finish(const Digest& running) {
  if (next_ < chunks_.size()) {
    return absl::InvalidArgumentError(Describe(record_, chunks_[next_].place) + " is missing");
  }
  std::string leaves;
  for (const TensorRecord& tensor : record_.tensors()) {
    for (const PartRecord& part : tensor.parts()) leaves += part.granule_digests();
  }
  const Digest digest = DigestOf(leaves);
  if (digest != running) {
    return absl::DataLossError(absl::StrCat(
        Describe(record_), ": the copy to be stored has digest ", digest.Hex(),
        ", the running state ", running.Hex(), "; memory was damaged on the way: nothing is kept"));
  }
  record_.set_digest(std::string(digest.AsBytes()));
  record_.set_prepared(true);
  record_.set_wall_time(shards_->clock_.WallTime());
  CAROUSEL_RETURN_IF_ERROR(shards_->Publish(record_, *ingest_));
  return record_;
}

// --- ShardReader ---

absl::StatusOr<std::string> ShardReader::ReadChunk(const ChunkPlace& place) const {
  absl::StatusOr<ChunkSpan> chunk = FindChunk(record_, place);
  if (!chunk.ok()) return Named(*store_, chunk.status());
  absl::StatusOr<std::string> bytes = store_->Get(ChunkKey(IdOf(record_), place));
  if (absl::IsNotFound(bytes.status())) {
    return Named(*store_, absl::DataLossError(Describe(record_, place) + " is gone"));
  }
  if (!bytes.ok()) {
    return absl::Status(bytes.status().code(),
                        absl::StrCat(Describe(record_, place), ": ", bytes.status().message()));
  }
  absl::Status verified = VerifyChunk(record_, place, *bytes);
  if (!verified.ok()) return Named(*store_, verified);
  return bytes;
}

absl::Status ShardReader::Verify() const {
  for (const ChunkSpan& chunk : ChunksOf(record_)) {
    CAROUSEL_RETURN_IF_ERROR(ReadChunk(chunk.place).status());
  }
  return absl::OkStatus();
}

// --- ShardStore: epochs ---

absl::StatusOr<int64_t> ShardStore::Epoch(std::string_view job) const {
  CAROUSEL_RETURN_IF_ERROR(CheckJobId(job));
  absl::StatusOr<std::string> stored = store_->Get(EpochKey(job));
  if (absl::IsNotFound(stored.status())) return 0;
  if (!stored.ok()) return stored.status();
  int64_t epoch = 0;
  if (!absl::SimpleAtoi(*stored, &epoch)) {
    return absl::DataLossError(
        absl::StrCat(store_->Name(), ": the epoch of job ", std::string(job), " cannot be read"));
  }
  return epoch;
}

absl::StatusOr<int64_t> ShardStore::NewestEpoch() const {
  int64_t newest = 0;
  bool readable = true;
  CAROUSEL_RETURN_IF_ERROR(
      store_->Scan(EpochPrefix(), [&](std::string_view, std::string_view value) {
        int64_t epoch = 0;
        readable = absl::SimpleAtoi(absl::string_view(value.data(), value.size()), &epoch);
        newest = std::max(newest, epoch);
        return readable;
      }));
  if (!readable) {
    return absl::DataLossError(absl::StrCat(store_->Name(), ": a job's epoch cannot be read"));
  }
  return newest;
}

absl::Status ShardStore::RaiseEpoch(std::string_view job, int64_t epoch) {
  MutexLock lock(&mutex_);
  CAROUSEL_ASSIGN_OR_RETURN(int64_t seen, Epoch(job));
  if (epoch == seen) return absl::OkStatus();
  if (epoch < seen) {
    return absl::FailedPreconditionError(absl::StrCat(store_->Name(), ": epoch ", epoch, " of job ",
                                                      std::string(job), " is over; epoch ", seen,
                                                      " has begun"));
  }
  StoreBatch batch;
  batch.Put(EpochKey(job), absl::StrCat(epoch));
  return store_->Commit(batch);
}

absl::Status ShardStore::CheckEpoch(const ShardRecord& record) const {
  CAROUSEL_ASSIGN_OR_RETURN(int64_t seen, Epoch(record.job()));
  if (record.epoch() >= seen) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(store_->Name(), ": ", Describe(record),
                                                    " was written under epoch ", record.epoch(),
                                                    "; epoch ", seen, " has begun"));
}

// --- ShardStore: shards ---

absl::StatusOr<std::unique_ptr<ShardWriter>> ShardStore::NewShard(ShardRecord draft) {
  CAROUSEL_RETURN_IF_ERROR(CheckLayout(draft));
  CAROUSEL_RETURN_IF_ERROR(CheckEpoch(draft));
  for (TensorRecord& tensor : *draft.mutable_tensors()) {
    for (PartRecord& part : *tensor.mutable_parts()) part.clear_granule_digests();
  }
  draft.set_format_version(kFormatVersion);
  draft.set_bytes(BytesOf(draft));
  CAROUSEL_ASSIGN_OR_RETURN(std::unique_ptr<Store::Ingest> ingest,
                            store_->NewIngest(draft.bytes()));
  return std::unique_ptr<ShardWriter>(new ShardWriter(this, std::move(draft), std::move(ingest)));
}

absl::Status ShardStore::Publish(const ShardRecord& record, Store::Ingest& ingest) {
  MutexLock lock(&mutex_);
  CAROUSEL_RETURN_IF_ERROR(CheckEpoch(record));
  CAROUSEL_ASSIGN_OR_RETURN(std::optional<ShardRecord> present, Find(IdOf(record)));
  if (!present.has_value() || !present->prepared()) return Replace(record, ingest);
  if (present->digest() != record.digest()) {
    CAROUSEL_ASSIGN_OR_RETURN(Digest before, DigestFromBytes(present->digest(), "digest"));
    CAROUSEL_ASSIGN_OR_RETURN(Digest now, DigestFromBytes(record.digest(), "digest"));
    return absl::FailedPreconditionError(absl::StrCat(
        store_->Name(), ": ", Describe(record), " is stored with digest ", before.Hex(),
        " and now came out as ", now.Hex(),
        ": the same step gave other bits. Sweep the step if no manifest names it, and look for a "
        "faulty machine"));
  }
  const bool readable = VerifyRecord(*present).ok() && ShardReader(store_, *present).Verify().ok();
  return readable ? Put(record) : Replace(record, ingest);
}

absl::Status ShardStore::Replace(const ShardRecord& record, Store::Ingest& ingest) {
  ShardRecord announced = record;
  announced.set_prepared(false);
  CAROUSEL_RETURN_IF_ERROR(Put(announced));
  CAROUSEL_RETURN_IF_ERROR(store_->RemovePrefix(ChunkPrefix(IdOf(record))));
  CAROUSEL_RETURN_IF_ERROR(ingest.Finish());
  return Put(record);
}

absl::Status ShardStore::Put(const ShardRecord& record) {
  StoreBatch batch;
  batch.Put(ShardRecordKey(IdOf(record)), record.SerializeAsString());
  return store_->Commit(batch);
}

absl::StatusOr<std::optional<ShardRecord>> ShardStore::Find(const ShardId& shard) const {
  absl::StatusOr<std::string> bytes = store_->Get(ShardRecordKey(shard));
  if (absl::IsNotFound(bytes.status())) return std::nullopt;
  if (!bytes.ok()) return bytes.status();
  CAROUSEL_ASSIGN_OR_RETURN(ShardRecord record, ParseRecord(*store_, *bytes));
  if (IdOf(record) == shard) return record;
  return absl::DataLossError(absl::StrCat(store_->Name(), ": the record of job ", shard.job,
                                          " step ", shard.step, " unit ", shard.unit,
                                          " says it is ", Describe(record)));
}

absl::StatusOr<std::unique_ptr<ShardReader>> ShardStore::OpenShard(const ShardId& shard) const {
  CAROUSEL_RETURN_IF_ERROR(CheckJobId(shard.job));
  if (shard.step < 0) return absl::InvalidArgumentError(absl::StrCat("step ", shard.step));
  CAROUSEL_ASSIGN_OR_RETURN(std::optional<ShardRecord> record, Find(shard));
  if (!record.has_value() || !record->prepared()) {
    return absl::NotFoundError(absl::StrCat(store_->Name(), " has no shard of job ", shard.job,
                                            " step ", shard.step, " unit ", shard.unit));
  }
  absl::Status verified = VerifyRecord(*record);
  if (!verified.ok()) return Named(*store_, verified);
  return std::unique_ptr<ShardReader>(new ShardReader(store_, *std::move(record)));
}

absl::StatusOr<std::vector<ShardRecord>> ShardStore::List() const {
  std::vector<ShardRecord> records;
  absl::Status parsed;
  CAROUSEL_RETURN_IF_ERROR(
      store_->Scan(ShardRecordPrefix(), [&](std::string_view key, std::string_view value) {
        absl::StatusOr<ShardRecord> record = ParseRecord(*store_, value);
        parsed = record.status();
        if (parsed.ok()) records.push_back(*std::move(record));
        return parsed.ok();
      }));
  CAROUSEL_RETURN_IF_ERROR(parsed);
  return records;
}

absl::StatusOr<int> ShardStore::Sweep(std::string_view job, const std::set<int64_t>& committed,
                                      std::optional<int64_t> in_flight) {
  CAROUSEL_RETURN_IF_ERROR(CheckJobId(job));
  MutexLock lock(&mutex_);
  CAROUSEL_ASSIGN_OR_RETURN(std::vector<ShardRecord> records, List());
  int removed = 0;
  for (const ShardRecord& record : records) {
    if (record.job() != job || (in_flight.has_value() && record.step() >= *in_flight)) continue;
    if (record.prepared() && committed.contains(record.step())) continue;
    CAROUSEL_RETURN_IF_ERROR(Remove(record));
    ++removed;
  }
  return removed;
}

absl::Status ShardStore::Remove(ShardRecord record) {
  record.set_prepared(false);
  CAROUSEL_RETURN_IF_ERROR(Put(record));
  CAROUSEL_RETURN_IF_ERROR(store_->RemovePrefix(ChunkPrefix(IdOf(record))));
  StoreBatch batch;
  batch.Remove(ShardRecordKey(IdOf(record)));
  return store_->Commit(batch);
}

}  // namespace carousel
