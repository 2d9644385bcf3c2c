#include "cluster/shard_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cluster/checkpoint_testing.h"

namespace carousel {
namespace {

using ::testing::HasSubstr;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

// The record that a store would hold of `draft`.
ShardRecord Filled(ShardRecord draft) {
  for (const ChunkSpan& chunk : ChunksOf(draft)) {
    for (const Digest& digest : GranuleDigests(draft, chunk.place, MadeUpBytes(draft, chunk))) {
      draft.mutable_tensors(chunk.place.tensor)
          ->mutable_parts(static_cast<int>(chunk.place.part))
          ->mutable_granule_digests()
          ->append(digest.AsBytes());
    }
  }
  draft.set_digest(std::string(MadeUpDigest(draft).AsBytes()));
  return draft;
}

TEST(ShardRecord, ATensorFallsIntoFullChunksAndAShortOne) {
  const ShardRecord draft = LargeDraft("job", 1, 0);
  std::vector<int64_t> sizes;
  for (const ChunkSpan& chunk : ChunksOf(draft)) {
    if (chunk.place.tensor == 2) sizes.push_back(chunk.bytes);
  }
  constexpr int64_t kFull = 4 << 20, kRest = 4 * (1100000 - (1 << 20));
  EXPECT_EQ(sizes, (std::vector<int64_t>{kFull, kRest, kFull, kRest, kFull, kRest}));
  EXPECT_EQ(BytesOf(draft), 3 * 4 * (70 + 7 + 1100000));
}

TEST(ShardRecord, AScalarIsOneElement) {
  ShardRecord record = SmallDraft("job", 1, 0);
  AddTensor(record, "scalar", {});
  EXPECT_EQ(ChunksOf(record).back().bytes, 4);
}

TEST(ShardRecord, PartsMayHaveTheirOwnTypes) {
  ShardRecord record = SmallDraft("job", 1, 0);
  record.mutable_tensors(1)->mutable_parts(0)->set_type(PartRecord::BF16);
  EXPECT_EQ(FindChunk(record, {1, Part::kWeight, 0})->bytes, 14);
  EXPECT_EQ(FindChunk(record, {1, Part::kM, 0})->bytes, 28);
}

TEST(ShardRecord, ARecordProvesItselfAndItsChunks) {
  const ShardRecord record = Filled(LargeDraft("job", 1, 0));
  EXPECT_TRUE(VerifyRecord(record).ok()) << VerifyRecord(record);
  for (const ChunkSpan& chunk : ChunksOf(record)) {
    EXPECT_TRUE(VerifyChunk(record, chunk.place, MadeUpBytes(record, chunk)).ok());
  }
}

TEST(ShardRecord, AFlippedBitIsFoundWithItsGranule) {
  const ShardRecord record = Filled(LargeDraft("job", 1, 3));
  const ChunkSpan chunk = *FindChunk(record, {2, Part::kM, 1});
  std::string bytes = MadeUpBytes(record, chunk);
  bytes[0] ^= 1;
  absl::Status status = VerifyChunk(record, chunk.place, bytes);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(Message(status),
            "job job step 1 unit 3 (blocks.3): tensor large, m, chunk 1, granule 16: the bytes are "
            "not those that were stored");
}

TEST(ShardRecord, AChunkOfAnotherPlaceIsFound) {
  const ShardRecord record = Filled(SmallDraft("job", 1, 0));
  const ChunkSpan m = *FindChunk(record, {0, Part::kM, 0});
  EXPECT_FALSE(VerifyChunk(record, {0, Part::kV, 0}, MadeUpBytes(record, m)).ok());
}

TEST(ShardRecord, AChunkOfAnotherLengthIsFound) {
  const ShardRecord record = Filled(SmallDraft("job", 1, 0));
  EXPECT_THAT(Message(VerifyChunk(record, {1, Part::kM, 0}, "short")),
              HasSubstr("has 5 bytes; its shape asks for 28"));
}

TEST(ShardRecord, AChangedLeafBreaksTheRecord) {
  ShardRecord record = Filled(SmallDraft("job", 1, 0));
  (*record.mutable_tensors(0)->mutable_parts(0)->mutable_granule_digests())[0] ^= 1;
  EXPECT_THAT(Message(VerifyRecord(record)), HasSubstr("its granules give"));
}

TEST(ShardRecord, AMissingLeafBreaksTheRecord) {
  ShardRecord record = Filled(SmallDraft("job", 1, 0));
  record.mutable_tensors(0)->mutable_parts(2)->clear_granule_digests();
  EXPECT_THAT(Message(VerifyRecord(record)), HasSubstr("tensor w has 0 bytes of granule digests"));
}

TEST(ShardRecord, PlacesOutsideTheLayoutAreNamed) {
  ShardRecord record = SmallDraft("job", 1, 0);
  record.mutable_tensors(1)->mutable_parts()->RemoveLast();
  EXPECT_THAT(Message(FindChunk(record, {9, Part::kM, 0}).status()), HasSubstr("has 2 tensors"));
  EXPECT_THAT(Message(FindChunk(record, {1, Part::kV, 0}).status()), HasSubstr("no such part"));
  EXPECT_THAT(Message(FindChunk(record, {0, Part::kM, 1}).status()), HasSubstr("has 1 chunks"));
}

TEST(ShardRecord, LayoutsThatCannotBeAreRefused) {
  auto refusal = [](auto change) {
    ShardRecord record = SmallDraft("job", 1, 0);
    change(record);
    absl::Status status = CheckLayout(record);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return Message(status);
  };
  EXPECT_THAT(refusal([](ShardRecord& r) { r.set_job("../x"); }), HasSubstr("no job id"));
  EXPECT_THAT(refusal([](ShardRecord& r) { r.set_step(-1); }), HasSubstr("at least 0"));
  EXPECT_THAT(refusal([](ShardRecord& r) { r.clear_tensors(); }), HasSubstr("0 tensors"));
  EXPECT_THAT(refusal([](ShardRecord& r) { r.mutable_tensors(0)->set_shape(1, 0); }),
              HasSubstr("tensor w: extent 0"));
  EXPECT_THAT(refusal([](ShardRecord& r) {
                r.mutable_tensors(0)->set_shape(0, int64_t{1} << 62);
                r.mutable_tensors(0)->set_shape(1, int64_t{1} << 62);
              }),
              HasSubstr("at most"));
  EXPECT_THAT(refusal([](ShardRecord& r) {
                r.mutable_tensors(1)->mutable_parts(1)->set_part(PartRecord::WEIGHT);
              }),
              HasSubstr("tensor b: part 0"));
  EXPECT_THAT(
      refusal([](ShardRecord& r) {
        r.mutable_tensors(1)->mutable_parts(1)->set_type(static_cast<PartRecord::ElementType>(9));
      }),
      HasSubstr("type 9"));
}

}  // namespace
}  // namespace carousel
