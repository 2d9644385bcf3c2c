#include "kernels/scalar_math.h"

#include <cmath>
#include <limits>

#include "gtest/gtest.h"

namespace carousel::kernels {
namespace {

// |ours - exact| in units of the last place of the exact value.
double UlpError(double ours, long double exact) {
  const double rounded = static_cast<double>(exact);
  const double next = std::nextafter(std::fabs(rounded), std::numeric_limits<double>::infinity());
  return static_cast<double>(std::fabs(ours - exact)) / (next - std::fabs(rounded));
}

TEST(ScalarMathTest, ExpIsWithinOneAndAHalfUlp) {
  for (int i = -70000; i <= 70000; ++i) {
    const double x = i * 0.01013;
    if (x < -708 || x > 709.7) continue;
    ASSERT_LT(UlpError(OwnExp(x), std::exp(static_cast<long double>(x))), 1.5) << x;
  }
  EXPECT_EQ(OwnExp(0), 1);
  EXPECT_EQ(OwnExp(-std::numeric_limits<double>::infinity()), 0);
  EXPECT_EQ(OwnExp(-1000), 0);
  EXPECT_EQ(OwnExp(1000), std::numeric_limits<double>::infinity());
  EXPECT_GT(OwnExp(-744), 0);  // a denormal
  EXPECT_TRUE(std::isnan(OwnExp(std::numeric_limits<double>::quiet_NaN())));
}

TEST(ScalarMathTest, LogIsWithinOneAndAHalfUlp) {
  for (int i = 1; i <= 200000; ++i) {
    for (const double x : {i * 1e-5, i * 1.7e-3, i * 1e-310, i * 1e300}) {
      if (x == 1) continue;
      ASSERT_LT(UlpError(OwnLog(x), std::log(static_cast<long double>(x))), 1.5) << x;
    }
  }
  EXPECT_EQ(OwnLog(1), 0);
}

TEST(ScalarMathTest, CosIsExactToTheScaleOfOne) {
  for (int i = 0; i <= 100000; ++i) {
    const double x = i * 6.2832e-5;
    ASSERT_NEAR(OwnCos(x), std::cos(x), 2.3e-16) << x;
  }
  EXPECT_EQ(OwnCos(0), 1);
  EXPECT_EQ(OwnCos(0x1.921fb54442d18p+1), -1);
}

TEST(ScalarMathTest, PowersAgreeWithTheLibrarys) {
  for (int i = 1; i < 1000; ++i) {
    const double x = i * 1e-3;
    for (const double y : {0.3, 0.5, 1.0, 1.6}) {
      ASSERT_NEAR(OwnPow(x, y), std::pow(x, y), 2e-15 * std::pow(x, y)) << x << "^" << y;
    }
  }
  for (const int64_t n : {0, 1, 2, 3, 10, 1000, 100000}) {
    const auto exact = static_cast<double>(std::pow(0.999L, static_cast<long double>(n)));
    // 0.999 is not 0.999L: its own error grows with n.
    EXPECT_NEAR(OwnPower(0.999, n), exact, (1e-16 * static_cast<double>(n) + 1e-15) * exact) << n;
  }
}

}  // namespace
}  // namespace carousel::kernels
