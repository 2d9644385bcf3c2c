#include "coordinator/partition.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <random>
#include <string>

namespace carousel {
namespace {

double LargestStage(const std::vector<double>& costs, const std::vector<int>& end_unit) {
  double largest = 0;
  int unit = 0;
  for (int end : end_unit) {
    double sum = 0;
    for (; unit < end; ++unit) sum += costs[unit];
    largest = std::max(largest, sum);
  }
  return largest;
}

double BruteForce(const std::vector<double>& costs, size_t stages) {
  double best = std::numeric_limits<double>::infinity();
  std::vector<int> ends;
  const std::function<void(int)> cut = [&](int begin) {
    if (ends.size() + 1 == stages) {
      ends.push_back(static_cast<int>(costs.size()));
      best = std::min(best, LargestStage(costs, ends));
      ends.pop_back();
      return;
    }
    const int stages_after = static_cast<int>(stages - ends.size()) - 1;
    for (int end = begin + 1; end + stages_after <= static_cast<int>(costs.size()); ++end) {
      ends.push_back(end);
      cut(end);
      ends.pop_back();
    }
  };
  cut(0);
  return best;
}

TEST(MinMaxPartition, IsAsGoodAsTheBestOfAllCuts) {
  std::mt19937 random(11);
  std::uniform_real_distribution<double> cost(0.1, 5);
  for (int trial = 0; trial < 400; ++trial) {
    const int units = 1 + random() % 10;
    const int stages = 1 + random() % std::min(units, 5);
    std::vector<double> costs(units);
    for (double& c : costs) c = cost(random);

    const absl::StatusOr<Partition> partition = MinMaxPartition(costs, stages);

    ASSERT_TRUE(partition.ok());
    EXPECT_NEAR(partition->largest, BruteForce(costs, stages), 1e-9);
    EXPECT_NEAR(LargestStage(costs, partition->end_unit), partition->largest, 1e-9);
    EXPECT_EQ(partition->end_unit.back(), units);
    int begin = 0;
    for (int end : partition->end_unit) {
      EXPECT_GT(end, begin) << "no stage is empty";
      begin = end;
    }
  }
}

TEST(MinMaxPartition, GivesAHeavyHeadAStageOfItsOwn) {
  const std::vector<double> costs = {1, 1, 1, 1, 4};

  const absl::StatusOr<Partition> partition = MinMaxPartition(costs, 2);

  EXPECT_EQ(partition->end_unit, (std::vector<int>{4, 5}));
}

TEST(MinMaxPartition, IsEvenBelowTheLargestStageToo) {
  const std::vector<double> costs = {9, 1, 1, 1, 1};

  const absl::StatusOr<Partition> partition = MinMaxPartition(costs, 3);

  EXPECT_EQ(partition->end_unit, (std::vector<int>{1, 3, 5}));
}

TEST(MinMaxPartition, RefusesMoreStagesThanUnits) {
  const absl::StatusOr<Partition> partition = MinMaxPartition(std::vector<double>{1, 1, 1}, 4);

  EXPECT_EQ(partition.status().message(),
            "4 stages need at least as many units; the model has 3 (embedding, blocks, head): use "
            "at most 3 stages");
}

TEST(MinMaxPartition, AcceptsUnitsThatCostNothing) {
  const absl::StatusOr<Partition> partition = MinMaxPartition(std::vector<double>{0, 0, 0}, 3);

  EXPECT_EQ(partition->end_unit, (std::vector<int>{1, 2, 3}));
}

}  // namespace
}  // namespace carousel
