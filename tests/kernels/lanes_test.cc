#include <algorithm>
#include <cmath>
#include <limits>

#include "gtest/gtest.h"
#include "kernels/cpu/paths.h"
#include "tests/kernels/math_paths.h"
#include "tests/kernels/values.h"

namespace carousel::kernels {
namespace {

const Reduction kReductions[] = {Reduction::kSum, Reduction::kDot, Reduction::kLargest,
                                 Reduction::kSumInDouble, Reduction::kDotInDouble};

// The definition: lane j mod 32 takes element j, then lanes i and i + 16, + 8, ... are joined.
template <class Sum, class T, class Take, class Join>
Sum ByLanes(const std::vector<T>& x, Sum start, const Take& take, const Join& join) {
  std::vector<Sum> lanes(32, start);
  for (size_t j = 0; j < x.size(); ++j) lanes[j % 32] = take(lanes[j % 32], j);
  for (int half = 16; half >= 1; half /= 2) {
    for (int i = 0; i < half; ++i) lanes[i] = join(lanes[i], lanes[i + half]);
  }
  return lanes[0];
}

template <class Sum, class T>
double SumByLanes(const std::vector<T>& x) {
  return ByLanes<Sum>(
      x, Sum(0), [&](Sum sum, size_t j) { return sum + static_cast<Sum>(x[j]); },
      [](Sum a, Sum b) { return a + b; });
}

template <class Sum, class T>
double DotByLanes(const std::vector<T>& x, const std::vector<T>& y) {
  return ByLanes<Sum>(
      x, Sum(0),
      [&](Sum sum, size_t j) {
        return std::fma(static_cast<Sum>(x[j]), static_cast<Sum>(y[j]), sum);
      },
      [](Sum a, Sum b) { return a + b; });
}

template <class T>
double Expected(Reduction reduction, const std::vector<T>& x, const std::vector<T>& y) {
  switch (reduction) {
    case Reduction::kSum:
      return SumByLanes<T>(x);
    case Reduction::kDot:
      return DotByLanes<T>(x, y);
    case Reduction::kSumInDouble:
      return SumByLanes<double>(x);
    case Reduction::kDotInDouble:
      return DotByLanes<double>(x, y);
    case Reduction::kLargest:
      break;
  }
  return x.empty() ? -INFINITY : *std::max_element(x.begin(), x.end());
}

template <class T>
class LanesTest : public testing::Test {};
using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(LanesTest, Types);

TYPED_TEST(LanesTest, EveryWidthFollowsTheDefinitionToTheBit) {
  for (int64_t n = 0; n < 200; ++n) {
    const std::vector<TypeParam> x = Values<TypeParam>(n, 1), y = Values<TypeParam>(n, 2);
    for (const Reduction reduction : kReductions) {
      const double expected = Expected(reduction, x, y);
      for (const Isa isa : Paths()) {
        EXPECT_EQ(ReduceOn<TypeParam>(isa, reduction, x.data(), y.data(), n), expected)
            << "reduction " << static_cast<int>(reduction) << " of " << n << " on " << NameOf(isa);
      }
    }
  }
}

// Products that are too small leave -0 in a lane; what fills a short vector must not make it +0.
TYPED_TEST(LanesTest, ALaneOfMinusZeroStaysSoWhereverTheRowEnds) {
  const TypeParam tiny = std::numeric_limits<TypeParam>::min();
  for (int64_t n = 1; n < 100; ++n) {
    const std::vector<TypeParam> x(n, tiny), y(n, -tiny);
    const bool minus = std::signbit(Expected(Reduction::kDot, x, y));
    EXPECT_EQ(minus, n >= 32) << "the definition: every lane is -0 only if each took a product";
    for (const Isa isa : Paths()) {
      const double dot = ReduceOn<TypeParam>(isa, Reduction::kDot, x.data(), y.data(), n);
      EXPECT_EQ(dot, 0);
      EXPECT_EQ(std::signbit(dot), minus) << n << " products on " << NameOf(isa);
    }
  }
}

TYPED_TEST(LanesTest, TheLargestIsFoundAmongNegativesAndPastNaN) {
  for (const Isa isa : Paths()) {
    for (int64_t n = 2; n < 70; ++n) {
      std::vector<TypeParam> x(n, -5);
      x[n - 1] = -2;
      x[n / 2 - 1] = std::numeric_limits<TypeParam>::quiet_NaN();
      EXPECT_EQ(ReduceOn<TypeParam>(isa, Reduction::kLargest, x.data(), x.data(), n), -2) << n;
    }
  }
}

}  // namespace
}  // namespace carousel::kernels
