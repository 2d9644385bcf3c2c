#include "cluster/data/keyed_permutation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

namespace carousel {
namespace {

std::vector<int64_t> AllOf(int64_t seed, int64_t epoch, int64_t size) {
  const KeyedPermutation permutation(seed, epoch, size);
  std::vector<int64_t> values;
  for (int64_t i = 0; i < size; ++i) values.push_back(permutation.At(i));
  return values;
}

TEST(KeyedPermutationTest, HitsEveryValueOnceWhateverTheSize) {
  std::vector<int64_t> sizes = {4095, 4096, 4097, 16383, 16384, 16385, 65537, 100003};
  for (int64_t size = 1; size <= 300; ++size) sizes.push_back(size);

  for (int64_t size : sizes) {
    std::vector<int> seen(static_cast<size_t>(size));
    for (int64_t value : AllOf(/*seed=*/5, /*epoch=*/2, size)) {
      ASSERT_GE(value, 0) << size;
      ASSERT_LT(value, size) << size;
      ASSERT_EQ(++seen[value], 1) << "value " << value << " of size " << size;
    }
  }
}

TEST(KeyedPermutationTest, StaysWithinASizeTooLargeToList) {
  const int64_t size = (int64_t{1} << 62) - 57;
  const KeyedPermutation permutation(1, 0, size);

  for (int64_t index : {int64_t{0}, int64_t{1}, size / 2, size - 1}) {
    EXPECT_GE(permutation.At(index), 0);
    EXPECT_LT(permutation.At(index), size);
  }
}

TEST(KeyedPermutationTest, DiffersBetweenSeedsAndBetweenDataEpochs) {
  const auto base = AllOf(1, 0, 1000);

  EXPECT_NE(base, AllOf(2, 0, 1000));
  EXPECT_NE(base, AllOf(1, 1, 1000));
  EXPECT_NE(AllOf(2, 1, 1000), AllOf(1, 2, 1000));  // the two keys do not merge into a sum
  EXPECT_EQ(base, AllOf(1, 0, 1000));
}

// A shuffle that moved neighbours together would show in training; so neighbours must end up about
// as far apart as two random places do, a third of the size.
TEST(KeyedPermutationTest, SendsNeighboursFarApart) {
  const int64_t size = 10000;
  const auto values = AllOf(3, 0, size);

  double distance = 0;
  int64_t fixed_points = 0;
  for (int64_t i = 0; i < size; ++i) {
    if (i > 0) distance += std::abs(static_cast<double>(values[i] - values[i - 1]));
    fixed_points += values[i] == i;
  }

  EXPECT_NEAR(distance / (size - 1), size / 3.0, size * 0.01);
  EXPECT_LE(fixed_points, 8);  // expected 1; 9 or more has a probability near 1e-6
}

// Part of the data contract: a job resumed by a later build must read the same windows.
TEST(KeyedPermutationTest, KeepsItsValuesForever) {
  EXPECT_EQ(AllOf(42, 0, 10), (std::vector<int64_t>{6, 9, 1, 2, 4, 8, 5, 7, 3, 0}));
  EXPECT_EQ(KeyedPermutation(-1, 7, 1000003).At(123456), 682892);
}

}  // namespace
}  // namespace carousel
