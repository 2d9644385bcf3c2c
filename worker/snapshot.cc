#include "worker/snapshot.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/check.h"
#include "cluster/job/model_layout.h"
#include "cluster/shard_record.h"
#include "cluster/status_macros.h"
#include "worker/job_terms.h"

namespace carousel {

using kernels::Span;

namespace {

ShardRecord Draft(const SnapshotLabel& label, const UnitLayout& layout, int unit) {
  ShardRecord record;
  record.set_job(label.job);
  record.set_epoch(label.epoch);
  record.set_step(label.step);
  record.set_unit(unit);
  record.set_unit_name(UnitName(layout));
  record.set_contract_hash(label.contract_hash);
  for (const TensorLayout& tensor : layout.tensors) AddTensor(record, tensor.name, tensor.shape);
  return record;
}

// The shard's layout must be the unit's own, or its bytes would land in wrong tensors.
absl::Status CheckSameLayout(const ShardRecord& record, const UnitLayout& layout) {
  bool same = record.tensors_size() == static_cast<int>(layout.tensors.size());
  for (int i = 0; same && i < record.tensors_size(); ++i) {
    const TensorLayout& tensor = layout.tensors[i];
    same = record.tensors(i).name() == tensor.name &&
           std::equal(tensor.shape.begin(), tensor.shape.end(), record.tensors(i).shape().begin(),
                      record.tensors(i).shape().end());
  }
  if (same) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      Describe(record), " has other tensors than this model's unit ", UnitName(layout)));
}

}  // namespace

absl::StatusOr<Snapshot> Snapshot::Take(const Stage& stage, SnapshotLabel label,
                                        std::vector<Digest> digests) {
  CAROUSEL_CHECK(digests.size() == stage.parameters().size());
  Snapshot snapshot;
  snapshot.label_ = std::move(label);
  for (size_t i = 0; i < stage.parameters().size(); ++i) {
    const UnitParameters& unit = stage.parameters()[i];
    UnitCopy copy = {
        .draft = Draft(snapshot.label_, unit.layout(), stage.first_unit() + static_cast<int>(i)),
        .digest = digests[i]};
    for (const Parameter& tensor : unit.tensors()) {
      std::vector<std::string>& parts = copy.parts.emplace_back();
      for (Part part : kStateParts) parts.emplace_back(tensor.part(part).bytes(), '\0');
    }
    snapshot.units_.push_back(std::move(copy));
  }
  for (size_t i = 0; i < snapshot.units_.size(); ++i) {
    for (size_t t = 0; t < snapshot.units_[i].parts.size(); ++t) {
      for (Part part : kStateParts) {
        stage.backend().CopyToHost(stage.stream(), stage.parameters()[i].tensors()[t].part(part),
                                   snapshot.units_[i].parts[t][static_cast<int>(part)].data());
      }
    }
  }
  CAROUSEL_RETURN_IF_ERROR(stage.backend().Record(stage.stream()).Wait());
  return snapshot;
}

absl::StatusOr<std::vector<ShardRecord>> Snapshot::Write(ShardStore& shards) const {
  std::vector<ShardRecord> records;
  for (const UnitCopy& unit : units_) {
    CAROUSEL_ASSIGN_OR_RETURN(std::unique_ptr<ShardWriter> writer, shards.NewShard(unit.draft));
    for (const ChunkSpan& chunk : ChunksOf(unit.draft)) {
      const std::string& part = unit.parts[chunk.place.tensor][static_cast<int>(chunk.place.part)];
      const size_t first = static_cast<size_t>(chunk.place.chunk) * kChunkElements * sizeof(float);
      CAROUSEL_RETURN_IF_ERROR(
          writer->Add(chunk.place, std::string_view(part).substr(first, chunk.bytes)));
    }
    CAROUSEL_ASSIGN_OR_RETURN(ShardRecord record, writer->Finish(unit.digest));
    records.push_back(std::move(record));
  }
  return records;
}

absl::Status RestoreUnit(Stage& stage, int unit, const Digest& expected, ShardSource& source) {
  const UnitParameters& parameters = stage.parameters()[unit - stage.first_unit()];
  const ShardRecord& record = source.record();
  CAROUSEL_RETURN_IF_ERROR(CheckSameLayout(record, parameters.layout()));
  if (record.digest() != expected.AsBytes()) {
    return absl::DataLossError(absl::StrCat(
        Describe(record), " has another digest than its manifest says; take an older checkpoint"));
  }
  for (const ChunkSpan& chunk : ChunksOf(record)) {
    CAROUSEL_ASSIGN_OR_RETURN(const std::string bytes, source.NextChunk());
    CAROUSEL_RETURN_IF_ERROR(VerifyChunk(record, chunk.place, bytes));
    const Span part = parameters.tensors()[chunk.place.tensor].part(chunk.place.part);
    if (part.empty()) continue;  // moments, where nothing is trained
    const int64_t size = static_cast<int64_t>(bytes.size()) / kernels::SizeOf(part.dtype());
    stage.backend().CopyToDevice(stage.stream(), bytes.data(),
                                 part.Slice(chunk.place.chunk * kChunkElements, size));
    CAROUSEL_RETURN_IF_ERROR(stage.backend().Record(stage.stream()).Wait());  // before `bytes` goes
  }
  return absl::OkStatus();
}

}  // namespace carousel
