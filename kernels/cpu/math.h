// exp, log, log1p, tanh, sigmoid, log-sigmoid and erf of our own: IEEE operations and fma only, so that every processor gives the same bits.
//
// The float functions are at most 2 ulp from a correctly rounded value (tests/kernels/math_test.cc measures it). The double ones call libm
// lane by lane: nothing but tests instantiates kernels for double, and no promise about bits is made there.
//
// NaN passes through. Branch-free: both sides of a case are computed and one is selected.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/cpu/simd.h"

namespace carousel::kernels::CAROUSEL_ISA {

#if defined(CAROUSEL_ISA_SCALAR)
using IntLanes = int32_t;
#else
using IntLanes = VecRegister<int32_t>::type;
#endif

[[gnu::always_inline]] inline IntLanes BitsOf(Vec<float> x) {
  return __builtin_bit_cast(IntLanes, x);
}
[[gnu::always_inline]] inline Vec<float> FromBits(IntLanes bits) {
  return __builtin_bit_cast(Vec<float>, bits);
}
[[gnu::always_inline]] inline Vec<float> Constant(float value) { return Splat<float>(value); }

template <class V>
[[gnu::always_inline]] inline V Max(V a, V b) {
  return a > b ? a : b;
}
template <class V>
[[gnu::always_inline]] inline V Min(V a, V b) {
  return a < b ? a : b;
}
[[gnu::always_inline]] inline Vec<float> Abs(Vec<float> x) {
  return FromBits(BitsOf(x) & 0x7fffffff);
}
// |x| with the sign of `sign`; x >= 0.
[[gnu::always_inline]] inline Vec<float> CopySign(Vec<float> x, Vec<float> sign) {
  return FromBits(BitsOf(x) | (BitsOf(sign) & static_cast<int32_t>(0x80000000u)));
}

namespace internal {

inline constexpr float kLog2E = 1.44269504f;
// ln 2 in two pieces: the first has few bits, so that its products with small integers are exact.
inline constexpr float kLn2High = 0.693145752f, kLn2Low = 1.42860677e-06f;
// 1.5 * 2^23: adding it leaves the nearest integer in the low bits.
inline constexpr float kRounder = 12582912.0f;

// 2^k for -126 <= k <= 127.
[[gnu::always_inline]] inline Vec<float> PowerOfTwo(IntLanes k) {
  return FromBits((k + 127) << 23);
}

// x = n ln 2 + r, |r| <= ln 2 / 2 and a bit.
struct Reduced {
  IntLanes n;
  Vec<float> n_float, r;
};
[[gnu::always_inline]] inline Reduced Reduce(Vec<float> x) {
  const Vec<float> shifted = Fma(x, Constant(kLog2E), Constant(kRounder));
  Reduced reduced;
  reduced.n = BitsOf(shifted) - BitsOf(Constant(kRounder));
  reduced.n_float = shifted - kRounder;
  reduced.r = Fma(reduced.n_float, Constant(-kLn2Low), Fma(reduced.n_float, Constant(-kLn2High), x));
  return reduced;
}

// e^r - 1 for a reduced r: the Taylor series up to r^7 / 7!, whose rest is below 2^-27.
[[gnu::always_inline]] inline Vec<float> ExpM1OfReduced(Vec<float> r) {
  Vec<float> q = Constant(1.0f / 5040);
  q = Fma(q, r, Constant(1.0f / 720));
  q = Fma(q, r, Constant(1.0f / 120));
  q = Fma(q, r, Constant(1.0f / 24));
  q = Fma(q, r, Constant(1.0f / 6));
  q = Fma(q, r, Constant(0.5f));
  return Fma(r * r, q, r);
}

// log(1 + f) for sqrt(1/2) - 1 <= f <= sqrt(2) - 1, with s = f / (2 + f): f - (f^2/2 - s (f^2/2 + R)), R = 2 (s^2/3 + s^4/5 + ...).
[[gnu::always_inline]] inline Vec<float> LogOfReduced(Vec<float> f) {
  const Vec<float> s = f / (f + 2.0f);
  const Vec<float> z = s * s;
  Vec<float> rest = Constant(2.0f / 9);
  rest = Fma(rest, z, Constant(2.0f / 7));
  rest = Fma(rest, z, Constant(2.0f / 5));
  rest = Fma(rest, z, Constant(2.0f / 3));
  rest = rest * z;
  const Vec<float> half_square = f * f * 0.5f;
  return f - (half_square - s * (half_square + rest));
}

// Positive normal x = 2^e (1 + f), sqrt(1/2) <= 1 + f < sqrt(2).
struct Split {
  Vec<float> e, f;
};
[[gnu::always_inline]] inline Split SplitExponent(Vec<float> x) {
  // Adding the distance from sqrt(1/2) to 1 carries into the exponent exactly where the mantissa is at least sqrt(2).
  const IntLanes bits = BitsOf(x) + (0x3f800000 - 0x3f3504f3);
  const IntLanes e = (bits >> 23) - 127;
  const Vec<float> mantissa = FromBits((bits & 0x007fffff) + 0x3f3504f3);
  // An integer below 2^22 as a float, without a conversion instruction.
  const Vec<float> e_float = FromBits(e + 0x4b400000) - kRounder;
  return {e_float, mantissa - 1.0f};
}

[[gnu::always_inline]] inline Vec<float> LogOfSplit(const Split& split) {
  return Fma(split.e, Constant(kLn2High), Fma(split.e, Constant(kLn2Low), LogOfReduced(split.f)));
}

}  // namespace internal

// exp(-inf) = 0 exactly, whatever was computed from it: the argument is clamped before its range is reduced. Denormal results are exact.
[[gnu::always_inline]] inline Vec<float> Exp(Vec<float> x) {
  x = x < Constant(-104.0f) ? Constant(-104.0f) : x;  // half of the least denormal is e^-103.97
  x = x > Constant(89.0f) ? Constant(89.0f) : x;      // e^88.72 is infinite
  const internal::Reduced reduced = internal::Reduce(x);
  const Vec<float> e = internal::ExpM1OfReduced(reduced.r) + 1.0f;
  const IntLanes half = reduced.n >> 1;  // 2^n in two factors, so that neither overflows nor vanishes
  return e * internal::PowerOfTwo(half) * internal::PowerOfTwo(reduced.n - half);
}

// log(0) = -inf, log of a negative number is NaN.
[[gnu::always_inline]] inline Vec<float> Log(Vec<float> x) {
  const auto tiny = x < Constant(1.17549435e-38f);
  const internal::Split split = internal::SplitExponent(tiny ? x * 16777216.0f : x);
  const internal::Split shifted = {tiny ? split.e - 24.0f : split.e, split.f};
  const Vec<float> log = internal::LogOfSplit(shifted);
  const Vec<float> edge = x == Constant(0.0f) ? Constant(-std::numeric_limits<float>::infinity())
                          : x < Constant(0.0f) ? Constant(std::numeric_limits<float>::quiet_NaN())
                                               : x;  // +inf and NaN are their own
  const auto regular = (x > Constant(0.0f)) & (x < Constant(std::numeric_limits<float>::infinity()));
  return regular ? log : edge;
}

// log(1 + x) for x >= 0: the rounding of 1 + x is put right by one step of Newton's.
[[gnu::always_inline]] inline Vec<float> Log1p(Vec<float> x) {
  const Vec<float> y = x + 1.0f;
  const Vec<float> lost = x - (y - 1.0f);
  const Vec<float> log = internal::LogOfSplit(internal::SplitExponent(y)) + lost / y;
  return x < Constant(std::numeric_limits<float>::infinity()) ? log : x;
}

// 1 / (1 + e^-x), from e^-|x| so that small results keep their digits.
[[gnu::always_inline]] inline Vec<float> Sigmoid(Vec<float> x) {
  const Vec<float> t = Exp(-Abs(x));
  return (x < Constant(0.0f) ? t : Constant(1.0f)) / (t + 1.0f) + (x - x);  // x - x: NaN stays NaN
}

// log(sigmoid(x)) = min(x, 0) - log1p(e^-|x|)
[[gnu::always_inline]] inline Vec<float> LogSigmoid(Vec<float> x) {
  return (x < Constant(0.0f) ? x : Constant(0.0f)) - Log1p(Exp(-Abs(x)));
}

// t / (t + 2) with t = e^2|x| - 1.
[[gnu::always_inline]] inline Vec<float> Tanh(Vec<float> x) {
  Vec<float> y = Abs(x) * 2.0f;
  y = y > Constant(20.0f) ? Constant(20.0f) : y;  // tanh(10) rounds to 1
  const internal::Reduced reduced = internal::Reduce(y);
  const Vec<float> power = internal::PowerOfTwo(reduced.n);
  const Vec<float> t = Fma(power, internal::ExpM1OfReduced(reduced.r), power - 1.0f);
  return CopySign(t / (t + 2.0f), x);
}

// |x| < 1: x (1 + P(x^2)); beyond: 1 - exp(Q(|x|)). P and Q interpolate erf(x)/x - 1 and log(erfc(x)) at Chebyshev's points.
[[gnu::always_inline]] inline Vec<float> Erf(Vec<float> x) {
  const Vec<float> u = x * x;
  Vec<float> p = Constant(7.875875063e-5f);
  p = Fma(p, u, Constant(-0.0008016864287f));
  p = Fma(p, u, Constant(0.005189087423f));
  p = Fma(p, u, Constant(-0.02685421201f));
  p = Fma(p, u, Constant(0.1128359472f));
  p = Fma(p, u, Constant(-0.3761262667f));
  p = Fma(p, u, Constant(0.1283791658f));
  const Vec<float> inner = Fma(x, p, x);

  Vec<float> a = Abs(x);
  a = a > Constant(4.05f) ? Constant(4.05f) : a;  // erf(4) rounds to 1
  Vec<float> q = Constant(1.614896338e-6f);
  q = Fma(q, a, Constant(-4.5630891e-5f));
  q = Fma(q, a, Constant(0.0005933143282f));
  q = Fma(q, a, Constant(-0.004743754147f));
  q = Fma(q, a, Constant(0.02637756438f));
  q = Fma(q, a, Constant(-0.1100058213f));
  q = Fma(q, a, Constant(-0.6319025502f));
  q = Fma(q, a, Constant(-1.130189921f));
  q = Fma(q, a, Constant(0.0003096755744f));
  const Vec<float> outer = CopySign(Constant(1.0f) - Exp(q), x);
  return Abs(x) < Constant(1.0f) ? inner : outer + (x - x);
}

// --- double: for tests ---

template <class Function>
[[gnu::always_inline]] inline Vec<double> EachLane(Vec<double> x, Function function) {
  double lanes[kLanes<double>];
  Store<double>(lanes, x);
  for (double& lane : lanes) lane = function(lane);
  return Load<double>(lanes);
}
inline Vec<double> Abs(Vec<double> x) {
  return EachLane(x, [](double v) { return __builtin_fabs(v); });
}
inline Vec<double> Exp(Vec<double> x) {
  return EachLane(x, [](double v) { return std::exp(v); });
}
inline Vec<double> Log(Vec<double> x) {
  return EachLane(x, [](double v) { return std::log(v); });
}
inline Vec<double> Log1p(Vec<double> x) {
  return EachLane(x, [](double v) { return std::log1p(v); });
}
inline Vec<double> Tanh(Vec<double> x) {
  return EachLane(x, [](double v) { return std::tanh(v); });
}
inline Vec<double> Erf(Vec<double> x) {
  return EachLane(x, [](double v) { return std::erf(v); });
}
inline Vec<double> Sigmoid(Vec<double> x) {
  return EachLane(x, [](double v) {
    const double t = std::exp(-__builtin_fabs(v));
    return (v < 0 ? t : 1.0) / (1.0 + t);
  });
}
inline Vec<double> LogSigmoid(Vec<double> x) {
  return EachLane(x, [](double v) { return (v < 0 ? v : 0.0) - std::log1p(std::exp(-__builtin_fabs(v))); });
}

// One value through the vector code: the same bits as a lane of it.
template <class T>
[[gnu::always_inline]] inline T FirstLane(Vec<T> x) {
  T lanes[kLanes<T>];
  Store<T>(lanes, x);
  return lanes[0];
}

}  // namespace carousel::kernels::CAROUSEL_ISA
