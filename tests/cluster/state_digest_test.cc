#include "cluster/state_digest.h"

#include <gtest/gtest.h>

#include <vector>

namespace carousel {
namespace {

// XXH3-128 of the empty input, as published with the algorithm.
TEST(StateDigest, IsXxh3InCanonicalForm) {
  EXPECT_EQ(DigestOf("").Hex(), "99aa06d3014798d86001c324468d497f");
}

TEST(StateDigest, AUnitHashesItsGranulesDigestsInOrder) {
  const Digest a = DigestOf("a"), b = DigestOf("b");
  const std::vector<Digest> ab = {a, b}, ba = {b, a};
  EXPECT_EQ(UnitDigest(ab), DigestOf(std::string(a.AsBytes()) + std::string(b.AsBytes())));
  EXPECT_NE(UnitDigest(ab), UnitDigest(ba));
}

TEST(StateDigest, AStateHashesUnitsStepAndSequences) {
  const Digest unit = DigestOf("unit");
  const std::vector<Digest> units = {unit};
  std::string bytes(unit.AsBytes());
  bytes += std::string("\0\0\0\0\0\0\1\2", 8) + std::string("\0\0\0\0\0\0\0\x03", 8);
  EXPECT_EQ(StateDigest(units, 0x0102, 3), DigestOf(bytes));
}

TEST(StateDigest, NoFieldStandsForAnother) {
  const std::vector<Digest> units = {DigestOf("unit")};
  EXPECT_NE(StateDigest(units, 1, 2), StateDigest(units, 2, 1));
  EXPECT_NE(StateDigest(units, 1, 2), StateDigest({}, 1, 2));
}

TEST(StateDigest, CountsGranulesWithTheShortLastOne) {
  EXPECT_EQ(GranuleCount(0), 0);
  EXPECT_EQ(GranuleCount(1), 1);
  EXPECT_EQ(GranuleCount(65536), 1);
  EXPECT_EQ(GranuleCount(65537), 2);
}

TEST(StateDigest, BytesOfAnotherLengthAreNoDigest) {
  EXPECT_EQ(*DigestFromBytes(DigestOf("a").AsBytes(), "x"), DigestOf("a"));
  absl::Status status = DigestFromBytes("short", "the unit's digest").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(status.message(), "the unit's digest has 5 bytes; a digest has 16");
}

}  // namespace
}  // namespace carousel
