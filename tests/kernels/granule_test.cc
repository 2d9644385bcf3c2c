#include "kernels/granule.h"

#include <xxhash.h>

#include "tests/kernels/pointwise_case.h"

namespace carousel::kernels {
namespace {

constexpr int64_t kSize = 2 * kGranule + 77;  // the last granule is short

TEST(GranuleTest, SquaresAgreeWithLongDouble) {
  std::vector<float> x = Values<float>(kSize, 1);
  const std::vector<double> partial = SameBitsEverywhere<double>([&](Isa isa, Context& context) {
    std::vector<double> out(GranuleCount(kSize));
    RunOn(isa, context, GranuleSquares{SpanOf(x), SpanOf(out)});
    return out;
  });
  ASSERT_EQ(partial.size(), 3);
  for (int64_t granule = 0; granule < 3; ++granule) {
    long double sum = 0;
    for (int64_t i = granule * kGranule; i < std::min(kSize, (granule + 1) * kGranule); ++i) {
      sum += static_cast<long double>(x[i]) * x[i];
    }
    EXPECT_NEAR(partial[granule], static_cast<double>(sum), 1e-14 * static_cast<double>(sum));
  }
}

// A partial must not depend on where its tensor lies: each is that of the granule alone.
TEST(GranuleTest, AGranuleIsItsOwnWhateverStandsBesideIt) {
  std::vector<double> x = Values<double>(kSize, 1);
  Context context(2);
  std::vector<double> all(3), alone(1);
  RunOn(Isa::kAvx2, context, GranuleSquares{SpanOf(x), SpanOf(all)});
  RunOn(Isa::kScalar, context, GranuleSquares{SpanOf(x).Slice(kGranule, kGranule), SpanOf(alone)});
  EXPECT_EQ(all[1], alone[0]);
}

TEST(GranuleTest, DigestsAreCanonicalXxh3OfTheBytes) {
  std::vector<float> x = Values<float>(kSize, 1);
  const std::vector<uint8_t> digests = SameBitsEverywhere<uint8_t>([&](Isa isa, Context& context) {
    std::vector<uint8_t> out(16 * GranuleCount(kSize));
    RunOn(isa, context, GranuleDigests{SpanOf(x), SpanOf(out)});
    return out;
  });
  const XXH128_hash_t last = XXH3_128bits(x.data() + 2 * kGranule, 77 * sizeof(float));
  for (int byte = 0; byte < 8; ++byte) {  // big-endian, the high word first
    EXPECT_EQ(digests[32 + byte], static_cast<uint8_t>(last.high64 >> (56 - 8 * byte)));
    EXPECT_EQ(digests[40 + byte], static_cast<uint8_t>(last.low64 >> (56 - 8 * byte)));
  }
}

TEST(GranuleTest, OneBitChangesTheDigestOfItsGranuleOnly) {
  std::vector<float> x = Values<float>(kSize, 1);
  Context context(1);
  std::vector<uint8_t> before(48), after(48);
  RunOn(Isa::kAvx2, context, GranuleDigests{SpanOf(x), SpanOf(before)});
  x[kGranule + 5] = -x[kGranule + 5];
  RunOn(Isa::kAvx2, context, GranuleDigests{SpanOf(x), SpanOf(after)});
  const auto differs = [&](int granule) {
    return !std::equal(before.begin() + 16 * granule, before.begin() + 16 * (granule + 1),
                       after.begin() + 16 * granule);
  };
  EXPECT_FALSE(differs(0));
  EXPECT_TRUE(differs(1));
  EXPECT_FALSE(differs(2));
}

}  // namespace
}  // namespace carousel::kernels
