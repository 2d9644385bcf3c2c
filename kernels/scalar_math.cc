#include "kernels/scalar_math.h"

#include <bit>

namespace carousel::kernels {
namespace {

constexpr double kLn2High = 0x1.62e42feep-1, kLn2Low = 0x1.a39ef35793c76p-33;
constexpr double kLog2E = 0x1.71547652b82fep+0;
constexpr double kRounder = 0x1.8p52;  // adding it leaves the nearest integer in the low bits
// pi / 2 in two pieces.
constexpr double kHalfPiHigh = 0x1.921fb54442d18p+0, kHalfPiLow = 0x1.1a62633145c07p-54;

double Fma(double a, double b, double c) { return __builtin_fma(a, b, c); }

// 2^n, -1022 <= n <= 1023.
double PowerOfTwo(int64_t n) { return std::bit_cast<double>(static_cast<uint64_t>(n + 1023) << 52); }

// The Taylor series 1 + x (c1 + x (c2 + ...)) with c_k = 1 / (first (first + 1) ...), sign alternating for sine and cosine of x = r^2.
double AlternatingSeries(double x, int first, int terms) {
  double sum = 1;
  for (int k = terms; k >= 1; --k) {
    const double n = first + 2 * (k - 1);
    sum = Fma(-x / (n * (n + 1)), sum, 1);
  }
  return sum;
}

}  // namespace

double OwnExp(double x) {
  if (!(x > -745)) return x < 0 ? 0 : x;  // -inf and NaN
  if (x > 709.79) return 1e308 * 1e308;
  const double n = Fma(x, kLog2E, kRounder) - kRounder;
  const double r = Fma(n, -kLn2Low, Fma(n, -kLn2High, x));
  double sum = 1;
  for (int k = 17; k >= 1; --k) sum = Fma(r / k, sum, 1);
  const int64_t whole = static_cast<int64_t>(n), half = whole / 2;
  return sum * PowerOfTwo(half) * PowerOfTwo(whole - half);
}

double OwnLog(double x) {
  int64_t exponent = 0;
  if (x < 0x1p-1022) {
    x *= 0x1p54;
    exponent = -54;
  }
  const uint64_t bits = std::bit_cast<uint64_t>(x) + (0x3ff0000000000000 - 0x3fe6a09e667f3bcd);
  exponent += static_cast<int64_t>(bits >> 52) - 1023;
  const double f = std::bit_cast<double>((bits & 0x000fffffffffffff) + 0x3fe6a09e667f3bcd) - 1;
  // log(1 + f) = f - (f^2/2 - s (f^2/2 + R)), s = f / (2 + f), R = 2 (s^2/3 + s^4/5 + ...)
  const double s = f / (2 + f), z = s * s, half_square = 0.5 * f * f;
  double rest = 0;
  for (int k = 25; k >= 3; k -= 2) rest = Fma(rest, z, 2.0 / k);
  rest *= z;
  const double e = static_cast<double>(exponent);
  return Fma(e, kLn2High, (f - (half_square - s * (half_square + rest))) + e * kLn2Low);
}

double OwnCos(double x) {
  const double quarter = Fma(x, 1 / kHalfPiHigh, kRounder) - kRounder;
  const double r = Fma(quarter, -kHalfPiLow, Fma(quarter, -kHalfPiHigh, x));
  const double square = r * r;
  switch (static_cast<int64_t>(quarter) & 3) {
    case 0:
      return AlternatingSeries(square, 1, 9);
    case 1:
      return -r * AlternatingSeries(square, 2, 9);
    case 2:
      return -AlternatingSeries(square, 1, 9);
    default:
      return r * AlternatingSeries(square, 2, 9);
  }
}

double OwnPow(double x, double y) { return OwnExp(y * OwnLog(x)); }

double OwnPower(double x, int64_t n) {
  double power = 1;
  for (double square = x; n > 0; n >>= 1, square *= square) {
    if (n & 1) power *= square;
  }
  return power;
}

}  // namespace carousel::kernels
