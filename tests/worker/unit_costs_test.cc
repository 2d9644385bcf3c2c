#include "worker/unit_costs.h"

#include <gtest/gtest.h>

#include "tests/worker/small_job.h"

namespace carousel {
namespace {

TEST(UnitCosts, EveryUnitHasACostAndUnitsOfAKindHaveTheSame) {
  const JobSpec job = SmallJob({{"", "model.num_blocks", "4"}});
  for (const std::string name : {"cpu", "test"}) {
    const auto backend = *kernels::NewBackend(name, 1);

    const absl::StatusOr<std::vector<UnitCost>> costs = MeasureUnitCosts(job, backend.get());

    ASSERT_TRUE(costs.ok()) << costs.status();
    ASSERT_EQ(costs->size(), 6u) << "the embedding, four blocks, the head";
    for (const UnitCost& cost : *costs) {
      EXPECT_GT(cost.forward(), 0);
      EXPECT_GE(cost.backward(), 0);
      EXPECT_GT(cost.weight_gradient(), 0);
    }
    EXPECT_EQ((*costs)[1].SerializeAsString(), (*costs)[3].SerializeAsString()) << "both mLSTM";
    EXPECT_NE((*costs)[1].SerializeAsString(), (*costs)[2].SerializeAsString()) << "an sLSTM";
  }
}

// A worker that is given other work must not finish this first.
TEST(UnitCosts, AMeasurementEndsBetweenTwoOperations) {
  const JobSpec job = SmallJob();
  const auto backend = *kernels::NewBackend("cpu", 1);
  for (const int last : {1, 2, 14, 30}) {
    int asked = 0;

    const auto costs = MeasureUnitCosts(job, backend.get(), [&] { return ++asked == last; });

    EXPECT_TRUE(absl::IsCancelled(costs.status())) << costs.status();
    EXPECT_EQ(asked, last);
  }
}

TEST(UnitCosts, DataThatCannotBeReadIsAnErrorThatNamesIt) {
  JobSpec job = SmallJob();
  job.mutable_data()->clear_synthetic();
  job.mutable_data()->set_dataset("/nowhere");
  const auto backend = *kernels::NewBackend("cpu", 1);

  const auto costs = MeasureUnitCosts(job, backend.get());

  EXPECT_NE(std::string(costs.status().message()).find("/nowhere"), std::string::npos)
      << costs.status();
}

}  // namespace
}  // namespace carousel
