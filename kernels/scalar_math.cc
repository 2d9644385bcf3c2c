#include "kernels/scalar_math.h"

#include <array>
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
double PowerOfTwo(int64_t n) {
  return std::bit_cast<double>(static_cast<uint64_t>(n + 1023) << 52);
}

constexpr int kTerms = 18;  // up to r^17

constexpr std::array<double, kTerms> InverseFactorials() {
  std::array<double, kTerms> inverse = {1};
  double factorial = 1;  // exact
  for (int k = 1; k < kTerms; ++k) inverse[k] = 1 / (factorial *= k);
  return inverse;
}
constexpr std::array<double, kTerms> kInverseFactorial = InverseFactorials();

// r^first / first! - r^(first + 2) / (first + 2)! + ... + r^(first + 16) / (first + 16)!, over
// r^first; square = r^2.
double AlternatingSeries(double square, int first) {
  double sum = 0;
  for (int k = first + 16; k >= first; k -= 2) sum = Fma(-sum, square, kInverseFactorial[k]);
  return sum;
}

}  // namespace

double OwnExp(double x) {
  if (!(x > -746)) return x < 0 ? 0 : x;  // -inf and NaN
  if (x > 710) return 0x1p1023 * 2;
  const double n = Fma(x, kLog2E, kRounder) - kRounder;
  const double r = Fma(n, -kLn2Low, Fma(n, -kLn2High, x));
  double sum = kInverseFactorial[14];  // |r| < 0.35: the rest is below 2^-60
  for (int k = 13; k >= 0; --k) sum = Fma(sum, r, kInverseFactorial[k]);
  const int64_t whole = static_cast<int64_t>(n), half = whole / 2;
  return sum * PowerOfTwo(half) * PowerOfTwo(whole - half);
}

double OwnLog(double x) {
  constexpr uint64_t kOne = 0x3ff0000000000000, kSqrtHalf = 0x3fe6a09e667f3bcd;
  int64_t exponent = 0;
  if (x < 0x1p-1022) {
    x *= 0x1p54;
    exponent = -54;
  }
  // x = 2^exponent (1 + f), sqrt(1/2) <= 1 + f < sqrt(2): the sum carries where it must.
  const uint64_t bits = std::bit_cast<uint64_t>(x) + (kOne - kSqrtHalf);
  exponent += static_cast<int64_t>(bits >> 52) - 1023;
  const double f = std::bit_cast<double>((bits & 0x000fffffffffffff) + kSqrtHalf) - 1;
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
      return AlternatingSeries(square, 0);
    case 1:
      return -r * AlternatingSeries(square, 1);
    case 2:
      return -AlternatingSeries(square, 0);
    default:
      return r * AlternatingSeries(square, 1);
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
