// A worker's and a coordinator's store with a job that checkpoints between them, and what must hold
// of them after any crash. Used by the tests that kill: at random times, and at every point.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <set>
#include <vector>

#include "cluster/keys.h"
#include "cluster/manifest_store.h"
#include "cluster/shard_store.h"
#include "cluster/store.h"
#include "tests/cluster/checkpoint_testing.h"

namespace carousel {

// The stores outlive it.
struct SmallCluster {
  static constexpr int kUnits = 2;
  static constexpr int kKeep = 3;
  static constexpr int kChunksOfUnit = 3 * kParts;

  // `rows`: how much a unit holds, in 4 KB; larger ones take longer to write.
  SmallCluster(Store* worker_store, Store* coordinator_store, int64_t rows)
      : rows(rows),
        worker(worker_store),
        coordinator(coordinator_store),
        shards(worker_store),
        manifests(coordinator_store) {}

  ShardRecord DraftOf(int64_t step, uint32_t unit) const {
    ShardRecord draft = SmallDraft("job", step, unit);
    AddTensor(draft, "large", {rows, 1000});
    return draft;
  }

  // All that happens at the end of step `step`; acknowledged if it returns OK.
  absl::Status Checkpoint(int64_t step) {
    std::vector<ShardRecord> records;
    for (uint32_t unit = 0; unit < kUnits; ++unit) {
      absl::StatusOr<ShardRecord> record = WriteShard(shards, DraftOf(step, unit));
      if (!record.ok()) return record.status();
      records.push_back(*std::move(record));
    }
    StoreBatch journal;
    journal.Put(JournalKey(step), "committed");
    return manifests.Commit(ManifestOf(records), kKeep, journal);
  }

  // Afterwards, while the next steps run.
  absl::Status SweepBehind(int64_t step) { return Sweep(step + 1); }

  // At every start: nothing runs, and what no manifest names goes.
  absl::Status Sweep(std::optional<int64_t> in_flight = std::nullopt) {
    absl::StatusOr<std::vector<ListedManifest>> listed = manifests.List("job");
    if (!listed.ok()) return listed.status();
    std::set<int64_t> committed;
    for (const ListedManifest& manifest : *listed) committed.insert(manifest.step);
    return shards.Sweep("job", committed, in_flight).status();
  }

  const int64_t rows;
  Store* const worker;
  Store* const coordinator;
  ShardStore shards;
  ManifestStore manifests;
};

inline void ExpectWhole(SmallCluster& cluster, const Manifest& manifest) {
  ASSERT_EQ(manifest.units_size(), SmallCluster::kUnits);
  for (const ShardRef& unit : manifest.units()) {
    auto reader = cluster.shards.OpenShard({"job", manifest.step(), unit.unit()});
    ASSERT_TRUE(reader.ok()) << reader.status();
    EXPECT_TRUE((*reader)->Verify().ok()) << (*reader)->Verify();
    const ShardRecord draft = cluster.DraftOf(manifest.step(), unit.unit());
    EXPECT_EQ(unit.digest(), MadeUpDigest(draft).AsBytes());
  }
}

inline void ExpectNothingLeftOver(SmallCluster& cluster, size_t checkpoints) {
  const size_t units = checkpoints * SmallCluster::kUnits;
  EXPECT_EQ(cluster.shards.List()->size(), units);
  size_t chunks = 0;
  ASSERT_TRUE(cluster.worker->Scan("~", [&](auto, auto) { return ++chunks > 0; }).ok());
  EXPECT_EQ(chunks, units * SmallCluster::kChunksOfUnit);
}

// Every shard that says it may be read can be, whether a manifest names it or not.
inline void ExpectPreparedMeansWhole(SmallCluster& cluster) {
  const std::vector<ShardRecord> records = *cluster.shards.List();
  for (const ShardRecord& record : records) {
    if (!record.prepared()) continue;
    auto reader = cluster.shards.OpenShard(IdOf(record));
    ASSERT_TRUE(reader.ok()) << reader.status();
    EXPECT_TRUE((*reader)->Verify().ok()) << (*reader)->Verify();
  }
}

// After a crash: everything acknowledged is there and whole, at most the checkpoint in flight came
// in addition, manifest, cursor and journal agree, and a sweep leaves nothing else. Returns the
// newest step, 0 if there is none.
inline int64_t ExpectRecovered(SmallCluster& cluster, int64_t acknowledged) {
  EXPECT_TRUE(cluster.manifests.VerifyChain("job").ok()) << cluster.manifests.VerifyChain("job");
  ExpectPreparedMeansWhole(cluster);
  const std::vector<ListedManifest> listed = *cluster.manifests.List("job");
  for (const ListedManifest& manifest : listed) ExpectWhole(cluster, manifest.found->manifest);
  const int64_t newest = listed.empty() ? 0 : listed.back().step;
  EXPECT_GE(newest, acknowledged) << "an acknowledged checkpoint is lost";
  EXPECT_LE(newest, acknowledged + 1) << "a checkpoint came from nowhere";
  EXPECT_EQ(listed.size(), std::min<int64_t>(newest, SmallCluster::kKeep));
  for (int64_t step = 1; step <= newest + 1; ++step) {
    EXPECT_EQ(cluster.coordinator->Get(JournalKey(step)).ok(), step <= newest) << step;
  }
  EXPECT_TRUE(cluster.Sweep().ok()) << cluster.Sweep();
  ExpectNothingLeftOver(cluster, listed.size());
  return newest;
}

}  // namespace carousel
