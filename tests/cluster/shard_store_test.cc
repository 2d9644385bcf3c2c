#include "cluster/shard_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/cluster/checkpoint_testing.h"
#include "tests/cluster/temporary_folder.h"

namespace carousel {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

class ShardStoreTest : public ::testing::Test {
 protected:
  ShardRecord Write(const ShardRecord& draft) {
    absl::StatusOr<ShardRecord> record = WriteShard(shards_, draft);
    EXPECT_TRUE(record.ok()) << record.status();
    return record.ok() ? *record : ShardRecord();
  }

  // The shards that are there, as "job/step/unit", with a question mark if they are not prepared.
  std::vector<std::string> Shards() {
    std::vector<std::string> names;
    const std::vector<ShardRecord> records = *shards_.List();
    for (const ShardRecord& record : records) {
      names.push_back(record.job() + "/" + std::to_string(record.step()) + "/" +
                      std::to_string(record.unit()) + (record.prepared() ? "" : "?"));
    }
    return names;
  }

  int Chunks() {
    int count = 0;
    EXPECT_TRUE(store_->Scan("~", [&](auto, auto) { return ++count > 0; }).ok());
    return count;
  }

  // Puts other bytes in place of a chunk, as a fault below the store's own checksums would.
  void Overwrite(const ShardId& shard, const ChunkPlace& place, const std::string& bytes) {
    auto ingest = *store_->NewIngest(bytes.size());
    ASSERT_TRUE(ingest->Add(ChunkKey(shard, place), bytes).ok());
    ASSERT_TRUE(ingest->Finish().ok());
  }

  // What a kill between the announcement and the second record leaves.
  void LeaveHalfDone(const ShardRecord& draft) {
    StoreBatch batch;
    batch.Put(ShardRecordKey(IdOf(draft)), draft.SerializeAsString());
    ASSERT_TRUE(store_->Commit(batch).ok());
    Overwrite(IdOf(draft), {0, Part::kWeight, 0}, "half");
  }

  std::unique_ptr<Store> store_ = NewMemoryStore();
  ShardStore shards_{store_.get()};
};

TEST_F(ShardStoreTest, ReadsBackWhatWasWritten) {
  const ShardRecord draft = LargeDraft("job", 5, 2);
  Write(draft);
  auto reader = *shards_.OpenShard({"job", 5, 2});
  for (const ChunkSpan& chunk : ChunksOf(draft)) {
    EXPECT_EQ(*reader->ReadChunk(chunk.place), MadeUpBytes(draft, chunk));
  }
  EXPECT_TRUE(reader->Verify().ok());
}

TEST_F(ShardStoreTest, TheRecordsDigestIsTheRunningOne) {
  const ShardRecord draft = LargeDraft("job", 5, 2);
  EXPECT_EQ(Write(draft).digest(), MadeUpDigest(draft).AsBytes());
}

TEST_F(ShardStoreTest, ACopyThatIsNotTheRunningStateIsNotStored) {
  const ShardRecord draft = SmallDraft("job", 5, 2);
  auto writer = *shards_.NewShard(draft);
  for (const ChunkSpan& chunk : ChunksOf(draft)) {
    std::string bytes = MadeUpBytes(draft, chunk);
    bytes[3] ^= 4;
    ASSERT_TRUE(writer->Add(chunk.place, bytes).ok());
  }
  absl::Status status = writer->Finish(MadeUpDigest(draft)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(Shards().empty());
  EXPECT_EQ(Chunks(), 0);
}

TEST_F(ShardStoreTest, ChunksOutOfOrderOrSizeAreRefused) {
  const ShardRecord draft = SmallDraft("job", 5, 2);
  auto writer = *shards_.NewShard(draft);
  EXPECT_THAT(
      Message(writer->Add({0, Part::kM, 0}, std::string(280, 'x'))),
      HasSubstr("expected was job job step 5 unit 2 (blocks.2): tensor w, weight, chunk 0"));
  EXPECT_THAT(Message(writer->Add({0, Part::kWeight, 0}, "x")), HasSubstr("of 280 bytes"));
}

TEST_F(ShardStoreTest, AnIncompleteShardIsRefused) {
  const ShardRecord draft = SmallDraft("job", 5, 2);
  auto writer = *shards_.NewShard(draft);
  ASSERT_TRUE(writer->Add({0, Part::kWeight, 0}, std::string(280, 'x')).ok());
  EXPECT_THAT(Message(writer->Finish(MadeUpDigest(draft)).status()),
              HasSubstr("tensor w, m, chunk 0 is missing"));
  EXPECT_TRUE(Shards().empty());
}

TEST_F(ShardStoreTest, AnAbsentShardIsNamedWithItsStore) {
  absl::Status status = shards_.OpenShard({"job", 5, 2}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Message(status), "memory has no shard of job job step 5 unit 2");
  EXPECT_FALSE(shards_.OpenShard({"../../etc", 5, 2}).ok());
  EXPECT_FALSE(shards_.OpenShard({"job", -5, 2}).ok());
}

TEST_F(ShardStoreTest, AFlippedByteIsFoundByName) {
  const ShardRecord draft = SmallDraft("job", 5, 2);
  Write(draft);
  std::string bytes = MadeUpBytes(draft, *FindChunk(draft, {1, Part::kV, 0}));
  bytes[20] ^= 0x40;
  Overwrite({"job", 5, 2}, {1, Part::kV, 0}, bytes);
  auto reader = *shards_.OpenShard({"job", 5, 2});
  absl::Status status = reader->ReadChunk({1, Part::kV, 0}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(Message(status), AllOf(HasSubstr("memory"), HasSubstr("tensor b, v, chunk 0")));
  EXPECT_FALSE(reader->Verify().ok());
  EXPECT_TRUE(reader->ReadChunk({1, Part::kM, 0}).ok()) << "the others still read";
}

TEST_F(ShardStoreTest, AMissingChunkIsFoundByName) {
  Write(SmallDraft("job", 5, 2));
  ASSERT_TRUE(store_->RemovePrefix(ChunkKey({"job", 5, 2}, {1, Part::kV, 0})).ok());
  auto reader = *shards_.OpenShard({"job", 5, 2});
  absl::Status status = reader->ReadChunk({1, Part::kV, 0}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(Message(status), HasSubstr("tensor b, v, chunk 0 is gone"));
}

TEST_F(ShardStoreTest, ARecordInAnothersPlaceIsFound) {
  const ShardRecord record = Write(SmallDraft("job", 5, 2));
  StoreBatch batch;
  batch.Put(ShardRecordKey({"job", 6, 2}), record.SerializeAsString());
  ASSERT_TRUE(store_->Commit(batch).ok());
  EXPECT_EQ(shards_.OpenShard({"job", 6, 2}).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(ShardStoreTest, AShardThatIsNotPreparedCannotBeRead) {
  LeaveHalfDone(SmallDraft("job", 5, 2));
  EXPECT_EQ(shards_.OpenShard({"job", 5, 2}).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ShardStoreTest, AShardIsWrittenOverWhatAKillLeft) {
  LeaveHalfDone(SmallDraft("job", 5, 2));
  Write(SmallDraft("job", 5, 2));
  EXPECT_TRUE((*shards_.OpenShard({"job", 5, 2}))->Verify().ok());
}

TEST_F(ShardStoreTest, TheSameShardAgainIsWelcome) {
  ShardRecord draft = SmallDraft("job", 5, 2);
  Write(draft);
  draft.set_epoch(4);
  Write(draft);
  EXPECT_EQ((*shards_.OpenShard({"job", 5, 2}))->record().epoch(), 4);
}

TEST_F(ShardStoreTest, TheSameShardAgainHealsADamagedOne) {
  Write(SmallDraft("job", 5, 2));
  Overwrite({"job", 5, 2}, {1, Part::kV, 0}, std::string(28, 'x'));
  Write(SmallDraft("job", 5, 2));
  EXPECT_TRUE((*shards_.OpenShard({"job", 5, 2}))->Verify().ok());
}

TEST_F(ShardStoreTest, TheSameStepWithOtherBitsIsRefused) {
  const ShardRecord draft = SmallDraft("job", 5, 2);
  Write(draft);
  auto writer = *shards_.NewShard(draft);
  std::vector<Digest> granules;
  for (const ChunkSpan& chunk : ChunksOf(draft)) {
    const std::string bytes(chunk.bytes, 'x');
    granules.push_back(DigestOf(bytes));
    ASSERT_TRUE(writer->Add(chunk.place, bytes).ok());
  }
  absl::Status status = writer->Finish(UnitDigest(granules)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(status), HasSubstr("the same step gave other bits"));
  EXPECT_TRUE((*shards_.OpenShard({"job", 5, 2}))->Verify().ok());
}

TEST_F(ShardStoreTest, SweepKeepsWhatIsCommittedOrInFlight) {
  for (int64_t step : {10, 20, 30, 40}) {
    for (uint32_t unit : {0, 1}) Write(SmallDraft("job", step, unit));
  }
  Write(SmallDraft("jobs", 10, 0));
  EXPECT_EQ(*shards_.Sweep("job", {20, 30}, 40), 2);
  EXPECT_THAT(Shards(), ::testing::ElementsAre("job/20/0", "job/20/1", "job/30/0", "job/30/1",
                                               "job/40/0", "job/40/1", "jobs/10/0"));
  EXPECT_EQ(Chunks(), 7 * 6);
  EXPECT_TRUE((*shards_.OpenShard({"jobs", 10, 0}))->Verify().ok());
}

TEST_F(ShardStoreTest, SweepRemovesWhatAKillLeftHalfDone) {
  LeaveHalfDone(SmallDraft("job", 5, 2));
  EXPECT_EQ(*shards_.Sweep("job", {5}), 1);
  EXPECT_TRUE(Shards().empty());
  EXPECT_EQ(Chunks(), 0);
}

TEST_F(ShardStoreTest, AnOldEpochIsFencedOff) {
  ShardRecord draft = SmallDraft("job", 5, 2);
  draft.set_epoch(3);
  auto begun_before = *shards_.NewShard(draft);
  ASSERT_TRUE(shards_.RaiseEpoch("job", 4).ok());
  ASSERT_TRUE(shards_.RaiseEpoch("other", 9).ok());

  for (const ChunkSpan& chunk : ChunksOf(draft)) {
    ASSERT_TRUE(begun_before->Add(chunk.place, MadeUpBytes(draft, chunk)).ok());
  }
  EXPECT_THAT(Message(begun_before->Finish(MadeUpDigest(draft)).status()),
              HasSubstr("written under epoch 3; epoch 4 has begun"));
  EXPECT_FALSE(shards_.NewShard(draft).ok());
  EXPECT_TRUE(Shards().empty());

  draft.set_epoch(4);
  Write(draft);
}

TEST_F(ShardStoreTest, EpochsOnlyRise) {
  EXPECT_EQ(*shards_.Epoch("job"), 0);
  ASSERT_TRUE(shards_.RaiseEpoch("job", 4).ok());
  EXPECT_TRUE(shards_.RaiseEpoch("job", 4).ok());
  EXPECT_EQ(shards_.RaiseEpoch("job", 3).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(*ShardStore(store_.get()).Epoch("job"), 4) << "it is in the store";
}

TEST_F(ShardStoreTest, KnowsTheNewestEpochOfAllItsJobs) {
  EXPECT_EQ(*shards_.NewestEpoch(), 0);
  ASSERT_TRUE(shards_.RaiseEpoch("a", 12).ok());
  ASSERT_TRUE(shards_.RaiseEpoch("b", 4).ok());
  EXPECT_EQ(*shards_.NewestEpoch(), 12);
}

TEST_F(ShardStoreTest, ManyThreadsMayWriteReadAndSweep) {
  std::vector<std::thread> threads;
  for (uint32_t unit = 0; unit < 4; ++unit) {
    threads.emplace_back([this, unit] {
      for (int64_t step = 1; step <= 10; ++step) {
        EXPECT_TRUE(WriteShard(shards_, SmallDraft("job", step, unit)).ok());
        EXPECT_TRUE((*shards_.OpenShard({"job", step, unit}))->Verify().ok());
      }
    });
  }
  threads.emplace_back([this] {
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(shards_.Sweep("other", {}).ok());
  });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(shards_.List()->size(), 40);
}

// The same story on disk: the damage is below everything, in the file.
TEST(ShardStoreOnDisk, AFlippedByteInTheFileIsFoundByName) {
  TemporaryFolder folder;
  {
    auto store = *OpenRocksDbStore(folder / "s");
    ShardStore shards(store.get());
    ASSERT_TRUE(WriteShard(shards, LargeDraft("job", 5, 2)).ok());
  }
  for (const auto& entry : std::filesystem::directory_iterator(folder / "s/rocksdb")) {
    if (entry.path().extension() != ".sst" || entry.file_size() < (1 << 20)) continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(2 << 20);  // in the first chunk of tensor "large"
    file.write("torn", 4);
  }
  auto store = *OpenRocksDbStore(folder / "s");
  ShardStore shards(store.get());
  absl::Status status = (*shards.OpenShard({"job", 5, 2}))->Verify();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(Message(status),
              AllOf(HasSubstr(folder / "s"), HasSubstr("tensor large, weight, chunk 0")));
}

}  // namespace
}  // namespace carousel
