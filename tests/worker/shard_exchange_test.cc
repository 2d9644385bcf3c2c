// A stage takes its state from the stores of other workers, over gRPC.

#include "worker/shard_exchange.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/store.h"
#include "tests/worker/edge_pair.h"
#include "tests/worker/silent_holder.h"
#include "tests/worker/small_job.h"
#include "tests/worker/small_stage.h"
#include "worker/lost_peer.h"
#include "worker/optimizer.h"

namespace carousel {
namespace {

using ::testing::HasSubstr;

// 40,000 rows of 32: a matrix of more than one chunk.
JobSpec LargeVocabulary() { return SmallJob({{"", "model.vocab_size", "40000"}}); }

std::vector<Digest> DigestsOf(SmallStage& small) {
  auto optimizer = Optimizer::Create(small.stage.get(), small.job.optimizer().weight_decay_rule());
  return *optimizer->UnitDigests();
}

using Holders = google::protobuf::RepeatedPtrField<Holder>;

Holders HoldersAt(const std::string& address) {
  Holders holders;
  holders.Add()->set_worker("w-1");
  holders[0].set_address(address);
  return holders;
}

// The embedding of a job, stored by worker w-1 at step 2, and the manifest that names it.
class ShardExchangeTest : public ::testing::Test {
 protected:
  ShardExchangeTest() {
    digests_ = DigestsOf(saved_);
    absl::StatusOr<Snapshot> snapshot = Snapshot::Take(
        *saved_.stage, {.job = "job", .epoch = 1, .step = 2, .contract_hash = "c"}, digests_);
    const auto records = snapshot->Write(shards_);
    EXPECT_TRUE(records.ok()) << records.status();
    manifest_.set_job("job");
    manifest_.set_step(2);
    ShardRef& ref = *manifest_.add_units();
    ref.set_unit_name("embedding");
    ref.set_digest(std::string(digests_[0].AsBytes()));
    ref.set_holder("w-1");
  }

  absl::Status Restore(const std::string& address, const RemoteRead& how = {}) {
    return RestoreStage(*empty_.stage, own_shards_, manifest_, HoldersAt(address), how);
  }

  SmallStage saved_{"cpu", LargeVocabulary(), 0, 1};
  SmallStage empty_{
      "cpu", SmallJob({{"", "model.vocab_size", "40000"}, {"", "numerics.seed", "9"}}), 0, 1};
  std::vector<Digest> digests_;
  std::unique_ptr<Store> store_ = NewMemoryStore(), own_store_ = NewMemoryStore();
  ShardStore shards_{store_.get()}, own_shards_{own_store_.get()};
  Manifest manifest_;
};

TEST_F(ShardExchangeTest, AMatrixOfManyChunksComesOverTheNetwork) {
  const ServedWorker holder(&shards_);
  ASSERT_NE(DigestsOf(empty_), digests_);

  const absl::Status restored = Restore(holder.address());

  ASSERT_TRUE(restored.ok()) << restored;
  EXPECT_EQ(DigestsOf(empty_), digests_);
}

TEST_F(ShardExchangeTest, AStageThatIsForwardOnlyTakesTheWeightsAlone) {
  const ServedWorker holder(&shards_);
  StageCapacity capacity = CapacityOf(empty_.job, 1, 1);
  capacity.backward = false;
  const auto stage = *Stage::Create(empty_.backend.get(), empty_.backend->NewStream(),
                                    {.model = &empty_.job.model(),
                                     .layout = &empty_.layout,
                                     .first_unit = 0,
                                     .end_unit = 1,
                                     .capacity = capacity});

  const absl::Status restored =
      RestoreStage(*stage, own_shards_, manifest_, HoldersAt(holder.address()));

  ASSERT_TRUE(restored.ok()) << restored;
  const Parameter& table = stage->parameters()[0].tensors()[0];
  EXPECT_TRUE(table.m.empty() && table.v.empty() && table.gradient.empty());
  EXPECT_EQ(empty_.Read(table.weight),
            saved_.Read(saved_.stage->parameters()[0].tensors()[0].weight));
}

TEST_F(ShardExchangeTest, AHolderThatIsNotAttachedIsNamed) {
  const absl::Status lost = RestoreStage(*empty_.stage, own_shards_, manifest_, {});

  EXPECT_EQ(LostWorkerOf(lost), "w-1") << lost;
  EXPECT_THAT(std::string(lost.message()),
              HasSubstr("unit embedding of step 2 is held by worker w-1, which is not attached"));
}

TEST_F(ShardExchangeTest, AHolderThatIsGoneIsNamed) {
  const absl::Status lost = Restore("127.0.0.1:1");

  EXPECT_EQ(LostWorkerOf(lost), "w-1") << lost;
  EXPECT_FALSE(IsUnreadableShard(lost));
}

TEST_F(ShardExchangeTest, AShardThatIsGoneIsUnreadableNotLost) {
  const ServedWorker holder(&own_shards_);

  const absl::Status gone = Restore(holder.address());

  EXPECT_TRUE(IsUnreadableShard(gone)) << gone;
  EXPECT_EQ(LostWorkerOf(gone), std::nullopt);
}

TEST_F(ShardExchangeTest, AShardWithOtherBitsThanTheManifestSaysIsUnreadable) {
  const ServedWorker holder(&shards_);
  manifest_.mutable_units(0)->set_digest(std::string(16, 'x'));

  const absl::Status other = Restore(holder.address());

  EXPECT_TRUE(IsUnreadableShard(other)) << other;
}

TEST_F(ShardExchangeTest, AHolderThatSendsNothingIsGivenUpByName) {
  SilentHolder holder;

  const absl::Status lost = Restore(holder.address, {.patience = 0.2});

  EXPECT_EQ(LostWorkerOf(lost), "w-1") << lost;
  EXPECT_THAT(std::string(lost.message()), HasSubstr("sent nothing of a shard for 0.2 s"));
}

TEST_F(ShardExchangeTest, ARestoreThatIsNoLongerWantedEndsThoughItsHolderIsSilent) {
  SilentHolder holder;

  const absl::Status cancelled =
      Restore(holder.address, {.cancelled = [&] { return holder.was_asked.ready(); }});

  EXPECT_TRUE(absl::IsCancelled(cancelled)) << cancelled;
}

}  // namespace
}  // namespace carousel
