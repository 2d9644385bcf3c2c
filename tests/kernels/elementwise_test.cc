#include "kernels/elementwise.h"

#include <limits>

#include "tests/kernels/pointwise_case.h"

namespace carousel::kernels {
namespace {

TEST(ElementwiseTest, AddIsIeeeAdditionAndMayWriteOverAnOperand) {
  std::vector<float> a = Values<float>(40003, 1), b = Values<float>(40003, 2);
  const std::vector<float> sum = SameBitsEverywhere<float>([&](Isa isa, Context& context) {
    std::vector<float> y = a;
    RunOn(isa, context, Add{SpanOf(y), SpanOf(b), SpanOf(y)});
    return y;
  });
  for (size_t i = 0; i < a.size(); ++i) ASSERT_EQ(sum[i], a[i] + b[i]);
}

TEST(ElementwiseTest, CopyAndZeroServeEveryType) {
  const auto check = [](auto start) {
    for (const Isa isa : Paths()) {
      Context context(3);
      auto x = start, y = start;
      std::fill(y.begin(), y.end(), 1);
      RunOn(isa, context, Copy{SpanOf(x), SpanOf(y)});
      EXPECT_EQ(y, start);
      RunOn(isa, context, Zero{SpanOf(y)});
      EXPECT_EQ(y, decltype(start)(start.size(), 0));
    }
  };
  check(Values<float>(700001, 1));
  check(Values<double>(1001, 1));
  check(std::vector<int32_t>{1, -2, 3});
  check(std::vector<uint8_t>{1, 2, 255});
}

TEST(ElementwiseTest, OrderedSumGoesOnInAscendingOrderInDouble) {
  std::vector<float> x = Values<float>(1003, 1);
  double expected = 0.1;
  for (const float value : x) expected += value;
  const std::vector<double> sum = SameBitsEverywhere<double>([&](Isa isa, Context& context) {
    std::vector<double> total = {0.1};
    RunOn(isa, context, OrderedSum{SpanOf(x), SpanOf(total)});
    return total;
  });
  EXPECT_EQ(sum[0], expected);
}

TEST(ElementwiseTest, WhatIsNotFiniteIsCountedWhereverItStands) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const Isa isa : Paths()) {
    Context context(1);
    for (int64_t n = 1; n < 70; ++n) {
      std::vector<float> x(n, std::numeric_limits<float>::max());
      std::vector<int32_t> count = {5};
      RunOn(isa, context, CountNonFinite{SpanOf(x), SpanOf(count)});
      EXPECT_EQ(count[0], 5) << n;
      x[n - 1] = NAN, x[0] = kInfinity, x[n / 2] = -kInfinity;
      const int expected = n == 1 ? 1 : n == 2 ? 2 : 3;
      RunOn(isa, context, CountNonFinite{SpanOf(x), SpanOf(count)});
      EXPECT_EQ(count[0], 5 + expected) << n;
    }
  }
}

TEST(ElementwiseTest, TheCountSaturates) {
  std::vector<float> x(10, NAN);
  std::vector<int32_t> count = {std::numeric_limits<int32_t>::max() - 3};
  Context context(1);
  RunOn(Isa::kAvx2, context, CountNonFinite{SpanOf(x), SpanOf(count)});
  EXPECT_EQ(count[0], std::numeric_limits<int32_t>::max());
}

}  // namespace
}  // namespace carousel::kernels
