#include "worker/snapshot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/store.h"
#include "tests/worker/small_job.h"
#include "tests/worker/small_stage.h"
#include "worker/optimizer.h"
#include "worker/shard_exchange.h"

namespace carousel {
namespace {

using ::testing::HasSubstr;

class SnapshotTest : public ::testing::TestWithParam<const char*> {
 protected:
  SnapshotTest() {
    // Moments that are not zero.
    for (const UnitParameters& unit : small_.stage->parameters()) {
      for (const Parameter& tensor : unit.tensors()) {
        std::vector<float> values(tensor.m.size(), 0.25f);
        values[0] = 3;
        small_.Write(tensor.m, values);
        values[0] = 5;
        small_.Write(tensor.v, values);
      }
    }
  }

  static std::vector<Digest> DigestsOf(SmallStage& small) {
    absl::StatusOr<Optimizer> optimizer =
        Optimizer::Create(small.stage.get(), small.job.optimizer().weight_decay_rule());
    return *optimizer->UnitDigests();
  }

  absl::StatusOr<std::vector<ShardRecord>> Save(std::vector<Digest> digests) {
    absl::StatusOr<Snapshot> snapshot =
        Snapshot::Take(*small_.stage, {.job = "job", .epoch = 1, .step = 2, .contract_hash = "c"},
                       std::move(digests));
    EXPECT_TRUE(snapshot.ok()) << snapshot.status();
    return snapshot->Write(shards_);
  }

  absl::Status RestoreInto(SmallStage& other, int unit, const Digest& expected) {
    absl::StatusOr<std::unique_ptr<ShardSource>> source =
        OpenLocalShard(shards_, {"job", 2, static_cast<uint32_t>(unit)});
    EXPECT_TRUE(source.ok()) << source.status();
    return RestoreUnit(*other.stage, unit, expected, **source);
  }

  SmallStage small_{GetParam(), SmallJob()};
  std::unique_ptr<Store> store_ = NewMemoryStore();
  ShardStore shards_{store_.get()};
};

INSTANTIATE_TEST_SUITE_P(Backends, SnapshotTest, ::testing::Values("cpu", "test"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(SnapshotTest, AStateThatWasStoredComesBackWithTheSameDigests) {
  const std::vector<Digest> digests = DigestsOf(small_);
  const auto records = Save(digests);
  ASSERT_TRUE(records.ok()) << records.status();
  SmallStage other(GetParam(), SmallJob({{"", "numerics.seed", "99"}}));
  ASSERT_NE(DigestsOf(other), digests);

  for (size_t unit = 0; unit < digests.size(); ++unit) {
    const absl::Status restored = RestoreInto(other, static_cast<int>(unit), digests[unit]);
    ASSERT_TRUE(restored.ok()) << restored;
  }

  EXPECT_EQ(DigestsOf(other), digests);
}

TEST_P(SnapshotTest, OtherStagesTakeTheUnitsThatTheyHold) {
  const std::vector<Digest> digests = DigestsOf(small_);
  ASSERT_TRUE(Save(digests).ok());
  SmallStage upper(GetParam(), SmallJob({{"", "numerics.seed", "99"}}), /*first_unit=*/2);

  for (int unit = 2; unit < 4; ++unit) ASSERT_TRUE(RestoreInto(upper, unit, digests[unit]).ok());

  EXPECT_EQ(DigestsOf(upper), (std::vector<Digest>{digests[2], digests[3]}));
}

TEST_P(SnapshotTest, ACopyThatIsNotTheStateIsNotStored) {
  std::vector<Digest> digests = DigestsOf(small_);
  std::swap(digests[1], digests[2]);

  const auto records = Save(digests);

  EXPECT_TRUE(absl::IsDataLoss(records.status())) << records.status();
  EXPECT_TRUE(absl::IsNotFound(shards_.OpenShard({"job", 2, 1}).status()));
}

TEST_P(SnapshotTest, AShardWithAnotherDigestThanTheManifestSaysIsRefused) {
  const std::vector<Digest> digests = DigestsOf(small_);
  ASSERT_TRUE(Save(digests).ok());
  SmallStage other(GetParam(), SmallJob({{"", "numerics.seed", "99"}}));
  const std::vector<Digest> before = DigestsOf(other);

  const absl::Status restored = RestoreInto(other, 1, digests[2]);

  EXPECT_TRUE(absl::IsDataLoss(restored)) << restored;
  EXPECT_THAT(std::string(restored.message()), HasSubstr("unit 1 (blocks.0)"));
  EXPECT_EQ(DigestsOf(other), before) << "nothing was written";
}

TEST_P(SnapshotTest, AShardOfAnotherModelIsRefused) {
  const std::vector<Digest> digests = DigestsOf(small_);
  ASSERT_TRUE(Save(digests).ok());
  SmallStage other(GetParam(), SmallJob({{"", "model.dim", "64"}}));

  const absl::Status restored = RestoreInto(other, 1, digests[1]);

  EXPECT_TRUE(absl::IsFailedPrecondition(restored)) << restored;
  EXPECT_THAT(std::string(restored.message()), HasSubstr("has other tensors than this model's"));
}

// A record of a foreign source, whose shapes may have any number of extents.
class ForeignShard : public ShardSource {
 public:
  explicit ForeignShard(ShardRecord record) : record_(std::move(record)) {}
  const ShardRecord& record() const override { return record_; }
  absl::StatusOr<std::string> NextChunk() override { return absl::InternalError("not asked for"); }

 private:
  const ShardRecord record_;
};

TEST_P(SnapshotTest, ShapesWithFewerOrMoreExtentsAreRefused) {
  const std::vector<Digest> digests = DigestsOf(small_);
  const auto records = Save(digests);
  ASSERT_TRUE(records.ok());
  ShardRecord fewer = (*records)[0], more = fewer;
  fewer.mutable_tensors(0)->mutable_shape()->RemoveLast();
  more.mutable_tensors(0)->add_shape(1);

  for (const ShardRecord& record : {fewer, more}) {
    ForeignShard source(record);
    EXPECT_TRUE(absl::IsFailedPrecondition(RestoreUnit(*small_.stage, 0, digests[0], source)));
  }
}

}  // namespace
}  // namespace carousel
