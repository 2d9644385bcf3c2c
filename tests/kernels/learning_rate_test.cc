#include "kernels/learning_rate.h"

#include <cmath>

#include "gtest/gtest.h"

namespace carousel::kernels {
namespace {

using Shape = LearningRateSchedule::Shape;

TEST(LearningRateTest, CosineIsTheAuthorsSchedule) {
  // The trajectories of the reference: peak 3e-3, 6 steps of warm-up, down to a tenth at step 30.
  const LearningRateSchedule schedule = {
      .shape = Shape::kCosine, .peak = 3e-3, .final_factor = 0.1, .warmup_steps = 6, .steps = 30};
  EXPECT_EQ(LearningRate(schedule, 0), 0);
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 3), 1.5e-3);
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 6), 3e-3);
  for (int64_t s = 6; s < 30; ++s) {
    const double least = 3e-4, turn = M_PI * static_cast<double>(s - 6) / 24;
    EXPECT_NEAR(LearningRate(schedule, s), least + 0.5 * (1 + std::cos(turn)) * (3e-3 - least),
                1e-18);
  }
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 18), 0.5 * (3e-3 + 3e-4));
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 30), 3e-4);
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 1000), 3e-4);
}

TEST(LearningRateTest, ExponentialDecaysGeometricallyThenCoolsDownToZero) {
  const LearningRateSchedule schedule = {.shape = Shape::kExponential,
                                         .peak = 1,
                                         .final_factor = 0.01,
                                         .warmup_steps = 10,
                                         .cooldown_steps = 20,
                                         .steps = 130};
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 5), 0.5);
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 10), 1);
  EXPECT_NEAR(LearningRate(schedule, 60), 0.1, 1e-15);  // half-way: the geometric mean
  EXPECT_NEAR(LearningRate(schedule, 110), 0.01, 1e-16);
  EXPECT_NEAR(LearningRate(schedule, 120), 0.005, 1e-16);
  EXPECT_EQ(LearningRate(schedule, 130), 0);
  for (int64_t s = 11; s <= 130; ++s) {
    EXPECT_LT(LearningRate(schedule, s), LearningRate(schedule, s - 1)) << s;
  }
}

TEST(LearningRateTest, ConstantHoldsThePeakAfterWarmUp) {
  const LearningRateSchedule schedule = {
      .shape = Shape::kConstant, .peak = 0.2, .warmup_steps = 4, .steps = 10};
  EXPECT_EQ(LearningRate(schedule, 0), 0);
  EXPECT_DOUBLE_EQ(LearningRate(schedule, 2), 0.1);
  EXPECT_EQ(LearningRate(schedule, 4), 0.2);
  EXPECT_EQ(LearningRate(schedule, 9), 0.2);
}

TEST(LearningRateTest, WithoutWarmUpTheFirstStepHasThePeak) {
  for (const Shape shape : {Shape::kCosine, Shape::kExponential, Shape::kConstant}) {
    EXPECT_DOUBLE_EQ(LearningRate({.shape = shape, .peak = 0.3, .steps = 10}, 0), 0.3);
  }
}

TEST(LearningRateTest, WarmUpAsLongAsTheJobIsNoDivisionByZero) {
  for (const Shape shape : {Shape::kCosine, Shape::kExponential, Shape::kConstant}) {
    const LearningRateSchedule schedule = {
        .shape = shape, .peak = 0.3, .warmup_steps = 5, .steps = 5};
    for (int64_t s = 0; s <= 6; ++s) EXPECT_TRUE(std::isfinite(LearningRate(schedule, s))) << s;
  }
}

TEST(LearningRateTest, BiasCorrectionsAgreeWithTheFormula) {
  for (const int64_t t : {1, 2, 10, 1000, 1000000}) {
    const BiasCorrections corrections = AdamWBiasCorrections(0.9, 0.999, t);
    const auto at = static_cast<double>(t);
    EXPECT_NEAR(corrections.first, 1 - std::pow(0.9, at), 1e-15);
    EXPECT_NEAR(corrections.second, std::sqrt(1 - std::pow(0.999, at)), 1e-14);
  }
}

TEST(LearningRateTest, ClippingShortensLongGradientsOnly) {
  EXPECT_EQ(ClipFactor(0.5, 1), 1);
  EXPECT_EQ(ClipFactor(0, 1), 1);
  EXPECT_DOUBLE_EQ(ClipFactor(4, 1), 1 / (4 + 1e-6));
  EXPECT_EQ(ClipFactor(1e9, 0), 1);  // switched off
}

}  // namespace
}  // namespace carousel::kernels
