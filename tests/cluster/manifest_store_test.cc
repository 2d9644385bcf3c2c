#include "cluster/manifest_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "cluster/keys.h"
#include "tests/cluster/checkpoint_testing.h"
#include "tests/cluster/temporary_folder.h"

namespace carousel {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

class ManifestStoreTest : public ::testing::Test {
 protected:
  void Commit(int64_t step, int keep = 3) {
    absl::Status status = manifests_.Commit(MadeUpManifest("job", step), keep);
    ASSERT_TRUE(status.ok()) << status;
  }

  std::vector<int64_t> Steps() {
    std::vector<int64_t> steps;
    const std::vector<ListedManifest> manifests = *manifests_.List("job");
    for (const ListedManifest& listed : manifests) steps.push_back(listed.step);
    return steps;
  }

  void Put(const std::string& key, const std::string& value) {
    StoreBatch batch;
    batch.Put(key, value);
    ASSERT_TRUE(store_->Commit(batch).ok());
  }

  void Remove(const std::string& key) {
    StoreBatch batch;
    batch.Remove(key);
    ASSERT_TRUE(store_->Commit(batch).ok());
  }

  void Flip(int64_t step) {
    std::string value = *store_->Get(ManifestKey("job", step));
    value[value.size() / 2] ^= 1;
    Put(ManifestKey("job", step), value);
  }

  std::unique_ptr<Store> store_ = NewMemoryStore();
  ManifestStore manifests_{store_.get()};
};

TEST_F(ManifestStoreTest, AJobWithoutCheckpointHasNone) {
  EXPECT_EQ(manifests_.Latest("job").status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(manifests_.VerifyChain("job").ok());
}

TEST_F(ManifestStoreTest, FindsTheNewest) {
  Commit(10);
  Commit(20);
  absl::StatusOr<FoundManifest> latest = manifests_.Latest("job");
  ASSERT_TRUE(latest.ok()) << latest.status();
  EXPECT_EQ(latest->manifest.step(), 20);
  EXPECT_EQ(latest->warning, "");
  EXPECT_EQ(manifests_.Before("job", 20)->manifest.step(), 10);
  EXPECT_EQ(manifests_.Before("job", 10).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ManifestStoreTest, CursorAndPointerAndJournalGoWithTheManifest) {
  StoreBatch journal;
  journal.Put(JournalKey(7), "committed 10");
  ASSERT_TRUE(manifests_.Commit(MadeUpManifest("job", 10), 2, journal).ok());
  Cursor cursor;
  ASSERT_TRUE(cursor.ParseFromString(*store_->Get(CursorKey("job"))));
  EXPECT_EQ(cursor.sequences(), 160);
  EXPECT_TRUE(store_->Get(LatestKey("job")).ok());
  EXPECT_EQ(*store_->Get(JournalKey(7)), "committed 10");
}

TEST_F(ManifestStoreTest, KeepsTheNewestFew) {
  for (int64_t step : {10, 20, 30, 40}) Commit(step, 2);
  EXPECT_THAT(Steps(), ElementsAre(30, 40));
  EXPECT_TRUE(manifests_.VerifyChain("job").ok()) << manifests_.VerifyChain("job");
}

TEST_F(ManifestStoreTest, AManifestThatDoesNotVerifyIsNotCountedAsKept) {
  for (int64_t step : {10, 20, 30}) Commit(step);
  Flip(20);
  Commit(40, 2);
  EXPECT_THAT(Steps(), ElementsAre(30, 40));
  Flip(40);
  Commit(50, 2);
  EXPECT_THAT(Steps(), ElementsAre(30, 40, 50)) << "30 is the other one that verifies";
}

TEST_F(ManifestStoreTest, RefusesToKeepOnlyOne) {
  EXPECT_THAT(Message(manifests_.Commit(MadeUpManifest("job", 1), 1)),
              HasSubstr("checkpoint.keep is 1; the least is 2"));
}

TEST_F(ManifestStoreTest, EachHoldsTheDigestOfTheOneBefore) {
  Commit(10);
  const Digest first = manifests_.Latest("job")->digest;
  EXPECT_EQ(manifests_.Latest("job")->manifest.previous_digest(), "");
  Commit(20);
  EXPECT_EQ(manifests_.Latest("job")->manifest.previous_digest(), first.AsBytes());
}

TEST_F(ManifestStoreTest, FallsBackByOneWhenTheNewestIsDamaged) {
  Commit(10);
  Commit(20);
  Flip(20);
  absl::StatusOr<FoundManifest> latest = manifests_.Latest("job");
  ASSERT_TRUE(latest.ok()) << latest.status();
  EXPECT_EQ(latest->manifest.step(), 10);
  EXPECT_THAT(
      latest->warning,
      AllOf(HasSubstr("memory: job job"), HasSubstr("the manifest of step 20 does not verify"),
            HasSubstr("do not have the digest"), HasSubstr("going on from step 10")));
}

TEST_F(ManifestStoreTest, FallsBackWhenTheNewestIsGone) {
  Commit(10);
  Commit(20);
  Remove(ManifestKey("job", 20));
  EXPECT_EQ(manifests_.Latest("job")->manifest.step(), 10);
  EXPECT_THAT(manifests_.Latest("job")->warning, HasSubstr("step 20, the newest, is gone"));
}

TEST_F(ManifestStoreTest, SaysSoWhenNoneVerifies) {
  Commit(10);
  Flip(10);
  absl::Status status = manifests_.Latest("job").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(Message(status), HasSubstr("no checkpoint that verifies"));
}

TEST_F(ManifestStoreTest, EveryByteOfAManifestIsGuarded) {
  Commit(10);
  const std::string good = *store_->Get(ManifestKey("job", 10));
  for (size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] ^= 0x80;
    Put(ManifestKey("job", 10), bad);
    ASSERT_FALSE(manifests_.Latest("job").ok()) << "byte " << at;
    Put(ManifestKey("job", 10), good.substr(0, at));
    ASSERT_FALSE(manifests_.Latest("job").ok()) << "cut at " << at;
  }
}

TEST_F(ManifestStoreTest, AManifestFromAnotherPlaceIsFound) {
  Commit(10);
  Put(ManifestKey("job", 20), *store_->Get(ManifestKey("job", 10)));
  EXPECT_THAT(Message(manifests_.VerifyChain("job")),
              HasSubstr("in its place lies the manifest of job job step 10"));
}

TEST_F(ManifestStoreTest, AnExchangedManifestBreaksTheChain) {
  Commit(10);
  Commit(20);
  auto other_store = NewMemoryStore();
  Manifest other = MadeUpManifest("job", 10);
  other.set_epoch(0);
  ASSERT_TRUE(ManifestStore(other_store.get()).Commit(other, 2).ok());
  Put(ManifestKey("job", 10), *other_store->Get(ManifestKey("job", 10)));
  EXPECT_THAT(Message(manifests_.VerifyChain("job")),
              HasSubstr("step 20 does not follow the one of step 10"));
}

TEST_F(ManifestStoreTest, AnOldNewestPutBackIsFound) {
  Commit(10);
  const std::string before = *store_->Get(ManifestKey("job", 10));
  Manifest again = MadeUpManifest("job", 10);
  again.set_epoch(2);
  ASSERT_TRUE(manifests_.Commit(again, 2).ok());
  Put(ManifestKey("job", 10), before);
  EXPECT_THAT(Message(manifests_.VerifyChain("job")), HasSubstr("not the one committed last"));
}

TEST_F(ManifestStoreTest, ACursorThatDisagreesIsTold) {
  Commit(10);
  Put(CursorKey("job"), "");
  EXPECT_THAT(manifests_.Latest("job")->warning, HasSubstr("stored data cursor is not the one"));
}

TEST_F(ManifestStoreTest, TheJobGoesOnAfterFallingBack) {
  Commit(10);
  Commit(20);
  Flip(20);
  Commit(15);
  EXPECT_THAT(Steps(), ElementsAre(10, 15));
  EXPECT_EQ(manifests_.Latest("job")->manifest.step(), 15);
  EXPECT_TRUE(manifests_.VerifyChain("job").ok()) << manifests_.VerifyChain("job");
}

TEST_F(ManifestStoreTest, AStruckCheckpointIsGoneAndItsStepsMayBeCommittedAgain) {
  Commit(10);
  Commit(20);
  Commit(30);

  StoreBatch with;
  with.Put(JournalKey(1), "struck");
  ASSERT_TRUE(manifests_.Strike("job", 20, with).ok());

  EXPECT_THAT(Steps(), ElementsAre(10));
  EXPECT_EQ(manifests_.Latest("job")->manifest.step(), 10);
  EXPECT_EQ(manifests_.Latest("job")->warning, "");
  EXPECT_TRUE(store_->Get(JournalKey(1)).ok()) << "in the same batch";
  Commit(15);
  EXPECT_TRUE(manifests_.VerifyChain("job").ok()) << manifests_.VerifyChain("job");
}

TEST_F(ManifestStoreTest, AJobWhoseOnlyCheckpointIsStruckHasNone) {
  Commit(10);
  ASSERT_TRUE(manifests_.Strike("job", 10).ok());
  EXPECT_EQ(manifests_.Latest("job").status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(manifests_.VerifyChain("job").ok()) << manifests_.VerifyChain("job");
}

TEST_F(ManifestStoreTest, TheSameStepAgainReplacesItsManifest) {
  Commit(10);
  Commit(20);
  Manifest again = MadeUpManifest("job", 20);
  again.mutable_units(0)->set_holder("w9");
  ASSERT_TRUE(manifests_.Commit(again, 3).ok());
  EXPECT_EQ(manifests_.Latest("job")->manifest.units(0).holder(), "w9");
  EXPECT_TRUE(manifests_.VerifyChain("job").ok()) << manifests_.VerifyChain("job");
}

TEST_F(ManifestStoreTest, TheSameStepWithAnotherStateIsRefused) {
  Commit(10);
  std::vector<ShardRecord> records = {SmallDraft("job", 10, 0)};
  records[0].set_digest(std::string(16, 'x'));
  EXPECT_THAT(Message(manifests_.Commit(ManifestOf(records), 3)), HasSubstr("gave other bits"));
}

TEST_F(ManifestStoreTest, WhatMayNotFollowIsRefused) {
  Commit(10);
  EXPECT_THAT(Message(manifests_.Commit(MadeUpManifest("job", 9), 3)),
              HasSubstr("step 10 is committed already"));
  Manifest old_epoch = MadeUpManifest("job", 20);
  old_epoch.set_epoch(0);
  EXPECT_THAT(Message(manifests_.Commit(old_epoch, 3)), HasSubstr("epoch 0 is over"));
  Manifest other_contract = MadeUpManifest("job", 20);
  other_contract.set_contract_hash("other");
  EXPECT_THAT(Message(manifests_.Commit(other_contract, 3)), HasSubstr("another job"));
  EXPECT_THAT(Steps(), ElementsAre(10));
}

TEST_F(ManifestStoreTest, AManifestThatIsNotWholeIsRefused) {
  auto refusal = [&](auto change) {
    Manifest manifest = MadeUpManifest("job", 10);
    change(manifest);
    absl::Status status = manifests_.Commit(manifest, 3);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return Message(status);
  };
  EXPECT_THAT(refusal([](Manifest& m) { m.set_job("A"); }), HasSubstr("no job id"));
  EXPECT_THAT(refusal([](Manifest& m) { m.set_step(-1); }), HasSubstr("at least 0"));
  EXPECT_THAT(refusal([](Manifest& m) { m.clear_units(); }), HasSubstr("no units"));
  EXPECT_THAT(refusal([](Manifest& m) { m.mutable_units(1)->set_unit(0); }),
              HasSubstr("units[1] is unit 0"));
  EXPECT_THAT(refusal([](Manifest& m) { m.mutable_units(1)->set_digest("short"); }),
              HasSubstr("units[1].digest has 5 bytes"));
  EXPECT_THAT(refusal([](Manifest& m) { m.mutable_cursor()->set_step(11); }),
              HasSubstr("cursor.step is 11"));
  EXPECT_THAT(refusal([](Manifest& m) { m.mutable_cursor()->set_sequences(161); }),
              HasSubstr("state_digest is not the one"));
  EXPECT_TRUE(Steps().empty());
}

TEST_F(ManifestStoreTest, AJobNeverSeesAnothersManifests) {
  ASSERT_TRUE(manifests_.Commit(MadeUpManifest("job", 10), 2).ok());
  ASSERT_TRUE(manifests_.Commit(MadeUpManifest("jobs", 99), 2).ok());
  EXPECT_EQ(manifests_.Latest("job")->manifest.step(), 10);
}

// A log file that is deleted whole is the one damage that RocksDB does not notice.
TEST(ManifestStoreOnDisk, ACheckpointSurvivesTheLossOfTheLog) {
  TemporaryFolder folder;
  auto live = *OpenRocksDbStore(folder / "live");
  ASSERT_TRUE(ManifestStore(live.get()).Commit(MadeUpManifest("job", 10), 2).ok());
  std::filesystem::copy(folder / "live", folder / "copy", std::filesystem::copy_options::recursive);
  for (const auto& entry : std::filesystem::directory_iterator(folder / "copy/rocksdb")) {
    if (entry.path().extension() == ".log") std::filesystem::remove(entry.path());
  }
  auto copy = *OpenRocksDbStore(folder / "copy");
  EXPECT_EQ(ManifestStore(copy.get()).Latest("job")->manifest.step(), 10);
}

}  // namespace
}  // namespace carousel
