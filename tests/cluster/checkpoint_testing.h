// Small made-up checkpoints: units whose bytes are a function of (step, unit, place), so that any
// reader can tell whether it got what was written.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "cluster/shard_record.h"
#include "cluster/shard_store.h"
#include "cluster/state_digest.h"
#include "proto/checkpoint.pb.h"

namespace carousel {

inline ShardRecord SmallDraft(const std::string& job, int64_t step, uint32_t unit) {
  ShardRecord draft;
  draft.set_job(job);
  draft.set_step(step);
  draft.set_unit(unit);
  draft.set_unit_name("blocks." + std::to_string(unit));
  draft.set_epoch(1);
  AddTensor(draft, "w", {10, 7});
  AddTensor(draft, "b", {7});
  return draft;
}

// A tensor of a full chunk and a short one.
inline ShardRecord LargeDraft(const std::string& job, int64_t step, uint32_t unit) {
  ShardRecord draft = SmallDraft(job, step, unit);
  AddTensor(draft, "large", {1100, 1000});
  return draft;
}

inline std::string MadeUpBytes(const ShardRecord& record, const ChunkSpan& chunk) {
  std::string bytes(chunk.bytes, '\0');
  uint64_t state = record.step() * 1000003 + record.unit() * 10007 + chunk.place.tensor * 101 +
                   static_cast<int>(chunk.place.part) * 11 + chunk.place.chunk + 1;
  for (size_t at = 0; at < bytes.size(); at += sizeof(state)) {
    state = (state ^ state >> 29) * 6364136223846793005u + 1442695040888963407u;
    std::memcpy(bytes.data() + at, &state, std::min(sizeof(state), bytes.size() - at));
  }
  return bytes;
}

// As an optimizer would compute it, granule by granule.
inline Digest MadeUpDigest(const ShardRecord& draft) {
  std::vector<Digest> granules;
  for (const ChunkSpan& chunk : ChunksOf(draft)) {
    const std::string bytes = MadeUpBytes(draft, chunk);
    for (size_t at = 0; at < bytes.size(); at += 4 * kGranuleElements) {
      granules.push_back(DigestOf(std::string_view(bytes).substr(at, 4 * kGranuleElements)));
    }
  }
  return UnitDigest(granules);
}

inline absl::StatusOr<ShardRecord> WriteShard(ShardStore& shards, const ShardRecord& draft) {
  absl::StatusOr<std::unique_ptr<ShardWriter>> writer = shards.NewShard(draft);
  if (!writer.ok()) return writer.status();
  for (const ChunkSpan& chunk : ChunksOf(draft)) {
    absl::Status added = (*writer)->Add(chunk.place, MadeUpBytes(draft, chunk));
    if (!added.ok()) return added;
  }
  return (*writer)->Finish(MadeUpDigest(draft));
}

// A manifest of `records`, all of one step.
inline Manifest ManifestOf(const std::vector<ShardRecord>& records) {
  Manifest manifest;
  manifest.set_job(records[0].job());
  manifest.set_step(records[0].step());
  manifest.set_epoch(1);
  manifest.set_contract_hash("contract");
  std::vector<Digest> digests;
  for (const ShardRecord& record : records) {
    ShardRef& unit = *manifest.add_units();
    unit.set_unit(record.unit());
    unit.set_digest(record.digest());
    unit.set_bytes(record.bytes());
    unit.set_holder("w1");
    digests.push_back(*DigestFromBytes(record.digest(), "digest"));
  }
  manifest.mutable_cursor()->set_step(manifest.step());
  manifest.mutable_cursor()->set_sequences(manifest.step() * 16);
  manifest.set_state_digest(
      std::string(StateDigest(digests, manifest.step(), manifest.step() * 16).AsBytes()));
  return manifest;
}

// A manifest of two units whose shards are nowhere.
inline Manifest MadeUpManifest(const std::string& job, int64_t step) {
  std::vector<ShardRecord> records;
  for (uint32_t unit = 0; unit < 2; ++unit) {
    records.push_back(SmallDraft(job, step, unit));
    records.back().set_digest(std::string(MadeUpDigest(records.back()).AsBytes()));
  }
  return ManifestOf(records);
}

}  // namespace carousel
