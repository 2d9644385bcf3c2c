#include "kernels/random_init.h"

#include "kernels/philox.h"
#include "tests/kernels/pointwise_case.h"

namespace carousel::kernels {
namespace {

template <class T>
std::vector<T> Filled(Isa isa, Context& context, RandomInit op, int64_t size) {
  std::vector<T> x(size);
  op.x = SpanOf(x);
  RunOn(isa, context, op);
  return x;
}

std::vector<double> Filled(const RandomInit& op, int64_t size) {
  Context context(2);
  return Filled<double>(Isa::kAvx2, context, op, size);
}

TEST(PhiloxTest, GivesTheKnownAnswersOfRandom123) {
  const auto expect = [](Philox4x32 counter, uint64_t key, Philox4x32 answer) {
    const Philox4x32 random = Philox(counter, key);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(random.word[i], answer.word[i]) << i;
  };
  expect({{0, 0, 0, 0}}, 0, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}});
  expect({{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}}, 0xffffffffffffffff,
         {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}});
  expect({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0x299f31d0a4093822,
         {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}});
}

TEST(RandomInitTest, BitsAreTheSameOnEveryPathAndNumberOfThreads) {
  for (const InitKind kind : {InitKind::kConstant, InitKind::kNormal, InitKind::kUniform,
                              InitKind::kLinspace, InitKind::kPowerLaw}) {
    const RandomInit op = {
        .kind = kind, .a = 0.5, .b = 2, .exponent = 0.7, .period = 9, .seed = 42, .tensor = 3};
    SameBitsEverywhere<float>(
        [&](Isa isa, Context& context) { return Filled<float>(isa, context, op, 40001); });
  }
}

TEST(RandomInitTest, AnElementDependsOnItsIndexOnly) {
  RandomInit op = {.kind = InitKind::kNormal, .a = 1, .seed = 42, .tensor = 3};
  const std::vector<double> whole = Filled(op, 1000);
  op.first = 300;
  const std::vector<double> part = Filled(op, 50);
  for (int i = 0; i < 50; ++i) ASSERT_EQ(part[i], whole[300 + i]);
}

TEST(RandomInitTest, SeedsTensorsAndFarIndicesGiveOtherNumbers) {
  const RandomInit op = {.kind = InitKind::kNormal, .a = 1, .seed = 42, .tensor = 3};
  RandomInit seed = op, high_seed = op, tensor = op, far = op;
  seed.seed = 43;
  high_seed.seed += uint64_t{1} << 32;
  tensor.tensor = 4;
  far.first = int64_t{1} << 32;
  const double value = Filled(op, 1)[0];
  for (const RandomInit& other : {seed, high_seed, tensor, far}) {
    EXPECT_NE(Filled(other, 1)[0], value);
  }
}

// The standard errors of n draws are 1/sqrt(n), sqrt(2/n), sqrt(6/n), sqrt(24/n); five of each.
TEST(RandomInitTest, NormalsHaveTheMomentsOfTheNormalDistribution) {
  constexpr int64_t kDraws = 400000;
  const std::vector<double> x =
      Filled({.kind = InitKind::kNormal, .a = 3, .seed = 7, .tensor = 1}, kDraws);
  double moment[5] = {};
  for (const double value : x) {
    for (int power = 1; power <= 4; ++power) moment[power] += std::pow(value / 3, power) / kDraws;
  }
  const double error = 5 / std::sqrt(static_cast<double>(kDraws));
  EXPECT_NEAR(moment[1], 0, error);
  EXPECT_NEAR(moment[2], 1, error * std::sqrt(2));
  EXPECT_NEAR(moment[3], 0, error * std::sqrt(15));
  EXPECT_NEAR(moment[4], 3, error * std::sqrt(96));
  double product = 0;  // of neighbours: they are independent
  for (int64_t i = 1; i < kDraws; ++i) product += x[i] * x[i - 1] / 9 / kDraws;
  EXPECT_NEAR(product, 0, error);
}

TEST(RandomInitTest, UniformsFillTheirIntervalEvenly) {
  constexpr int64_t kDraws = 100000;
  const std::vector<double> x =
      Filled({.kind = InitKind::kUniform, .a = 0.5, .seed = 7, .tensor = 1}, kDraws);
  int64_t counts[10] = {};
  for (const double value : x) {
    ASSERT_GE(value, -0.5);
    ASSERT_LT(value, 0.5);
    ++counts[static_cast<int>((value + 0.5) * 10)];
  }
  for (const int64_t count : counts) EXPECT_NEAR(count, 0.1 * kDraws, 500);
}

TEST(RandomInitTest, LinspaceRepeatsWithItsPeriod) {
  const std::vector<double> x =
      Filled({.kind = InitKind::kLinspace, .a = 3, .b = 6, .period = 4}, 8);
  for (int i = 0; i < 8; ++i) EXPECT_DOUBLE_EQ(x[i], 3 + i % 4);
}

// -(-5 + 12 (j / (DH - 1))^exponent), the same in every head.
TEST(RandomInitTest, PowerLawIsTheSlstmsForgetBias) {
  const std::vector<double> x = Filled(
      {.kind = InitKind::kPowerLaw, .a = -5, .b = 7, .exponent = 0.3 + 1.3 / 3, .period = 16}, 32);
  for (int i = 0; i < 32; ++i) {
    EXPECT_NEAR(x[i], -(-5 + 12 * std::pow(i % 16 / 15.0, 0.3 + 1.3 / 3)), 1e-14) << i;
  }
  EXPECT_EQ(x[0], 5);
  EXPECT_EQ(x[15], -7);
}

TEST(RandomInitTest, OneUnitAHeadDividesByNothing) {
  const std::vector<double> x =
      Filled({.kind = InitKind::kPowerLaw, .a = -5, .b = 7, .exponent = 0.3, .period = 1}, 4);
  for (const double value : x) EXPECT_EQ(value, 5);
}

}  // namespace
}  // namespace carousel::kernels
