#include "worker/sampler.h"

#include <gtest/gtest.h>

#include <cmath>

namespace carousel {
namespace {

TEST(Sampler, TemperatureZeroTakesTheFirstOfTheMostLikely) {
  EXPECT_EQ(SampleToken({1, 3, 2, 3}, /*cap=*/0, /*temperature=*/0, /*seed=*/1, /*index=*/0), 1);
  EXPECT_EQ(SampleToken({-5}, 0, 0, 1, 0), 0);
}

TEST(Sampler, TheSameSeedAndIndexChooseTheSameToken) {
  const std::vector<float> logits = {0, 0.5, 1, 0.25};
  int differ = 0;
  for (int64_t index = 0; index < 100; ++index) {
    EXPECT_EQ(SampleToken(logits, 0, 1, 7, index), SampleToken(logits, 0, 1, 7, index));
    differ += SampleToken(logits, 0, 1, 7, index) != SampleToken(logits, 0, 1, 8, index);
  }
  EXPECT_GT(differ, 20) << "another seed tells another story";
}

// Shares of `draws` tokens.
std::vector<double> Shares(const std::vector<float>& logits, double cap, double temperature) {
  constexpr int64_t kDraws = 20'000;
  std::vector<double> shares(logits.size());
  for (int64_t index = 0; index < kDraws; ++index)
    shares[SampleToken(logits, cap, temperature, /*seed=*/3, index)] += 1.0 / kDraws;
  return shares;
}

void ExpectSoftmax(const std::vector<double>& shares, const std::vector<double>& z) {
  double sum = 0;
  for (double x : z) sum += std::exp(x);
  for (size_t i = 0; i < z.size(); ++i) EXPECT_NEAR(shares[i], std::exp(z[i]) / sum, 0.015) << i;
}

TEST(Sampler, TokensComeAsOftenAsTheSoftmaxSays) {
  ExpectSoftmax(Shares({0, 1, 2}, 0, 1), {0, 1, 2});
  ExpectSoftmax(Shares({0, 1, 2}, 0, 2), {0, 0.5, 1});
  ExpectSoftmax(Shares({0, 10, 20}, /*cap=*/2, 1), {0, 2 * std::tanh(5.0), 2 * std::tanh(10.0)});
}

TEST(Sampler, LargeLogitsDoNotOverflow) {
  for (int64_t index = 0; index < 50; ++index)
    EXPECT_EQ(SampleToken({-1e30f, 3e38f, 0}, 0, 0.5, 1, index), 1);
}

}  // namespace
}  // namespace carousel
