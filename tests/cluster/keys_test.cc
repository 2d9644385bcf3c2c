#include "cluster/keys.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "cluster/store.h"

namespace carousel {
namespace {

TEST(Keys, AJobIdIsAShortPlainName) {
  EXPECT_TRUE(CheckJobId("lm-7").ok());
  EXPECT_TRUE(CheckJobId(std::string(63, 'a')).ok());
  for (const std::string& bad :
       {std::string(), std::string(64, 'a'), std::string("A"), std::string("a b"),
        std::string("a/b"), std::string("../a"), std::string("a\0b", 3), std::string("\xc3\xa4")}) {
    EXPECT_EQ(CheckJobId(bad).code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

// The escape that this guards against: removing job `a` would take job `ab` along.
TEST(Keys, NoPrefixOfAJobMatchesAnotherJob) {
  const std::vector<std::string> jobs = {"a", "ab", "a-", "a0", "b", "aa"};
  for (const std::string& job : jobs) {
    for (const std::string& other : jobs) {
      const bool same = job == other;
      EXPECT_EQ(ManifestKey(other, 1).starts_with(ManifestPrefix(job)), same) << job << other;
      EXPECT_EQ(ShardRecordKey({other, 1, 2}).starts_with(ShardRecordPrefix(job)), same);
      EXPECT_EQ(ChunkKey({other, 1, 2}, {}).starts_with(ChunkPrefix({job, 1, 2})), same);
    }
  }
}

TEST(Keys, NoPrefixOfAShardMatchesAnotherShard) {
  const std::string prefix = ChunkPrefix({"a", 1, 2});
  EXPECT_TRUE(ChunkKey({"a", 1, 2}, {0xffffffff, Part::kV, 0xffffffff}).starts_with(prefix));
  EXPECT_FALSE(ChunkKey({"a", 1, 0x0200}, {}).starts_with(prefix));
  EXPECT_FALSE(ChunkKey({"a", 0x0100, 2}, {}).starts_with(prefix));
}

TEST(Keys, ByteOrderIsNumberOrder) {
  std::vector<std::string> keys;
  for (int64_t step : {0, 1, 255, 256, 65536}) {
    for (uint32_t unit : {0u, 1u, 300u}) {
      for (uint32_t tensor : {0u, 256u}) {
        for (Part part : {Part::kWeight, Part::kM, Part::kV}) {
          for (uint32_t chunk : {0u, 255u, 256u}) {
            keys.push_back(ChunkKey({"job", step, unit}, {tensor, part, chunk}));
          }
        }
      }
    }
  }
  EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end()));
  EXPECT_EQ(std::adjacent_find(keys.begin(), keys.end()), keys.end());
}

TEST(Keys, NoFamilyLiesInAnother) {
  const std::vector<std::string> keys = {
      IdentityKey(),  JournalKey(1),         JournalSnapshotKey(),
      CursorKey("a"), LatestKey("a"),        ManifestKey("a", 1),
      EpochKey("a"),  ShardRecordKey({"a"}), ChunkKey({"a"}, {}),
  };
  for (size_t i = 0; i < keys.size(); ++i) {
    for (size_t j = 0; j < keys.size(); ++j) {
      EXPECT_EQ(keys[i][0] == keys[j][0], i == j) << i << " " << j;
    }
  }
}

TEST(Keys, OnlyChunksAreBulk) {
  EXPECT_EQ(ChunkKey({"a"}, {})[0], kBulkFamily);
  EXPECT_LT(ShardRecordKey({"a"})[0], kBulkFamily);
}

TEST(Keys, CountsAreReadBack) {
  EXPECT_EQ(ParseJournalKey(JournalKey(0x0102030405060708)), 0x0102030405060708);
  EXPECT_EQ(ParseManifestStep(ManifestKey("ab", 77)), 77);
  EXPECT_FALSE(ParseJournalKey("J123").has_value());
  EXPECT_FALSE(ParseManifestStep(JournalKey(1)).has_value());
  EXPECT_FALSE(ParseManifestStep(ManifestPrefix("ab")).has_value());
  EXPECT_FALSE(ParseManifestStep("").has_value());
}

// These bytes are on disks: a change here needs a new format version and a way to read the old.
TEST(Keys, TheBytesOfAChunkKeyAreFixed) {
  EXPECT_EQ(ChunkKey({"a", 1, 2}, {3, Part::kV, 4}),
            std::string("~a\0\0\0\0\0\0\0\0\1\0\0\0\2\0\0\0\3\2\0\0\0\4", 24));
}

}  // namespace
}  // namespace carousel
