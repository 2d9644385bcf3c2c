// exp, log, log1p, tanh, erf and what is made of them, on vectors and on scalars.
//
// V is float, double, Vec<float> or Vec<double>. The float functions are our own: range reduction
// and one polynomial, on fused multiply-adds and IEEE division only, free of branches, within 2 ulp
// of the correctly rounded value everywhere (denormal results included; tests/kernels/math_test.cc
// measures it). An element's bits are the same on every path. NaN in, NaN out. The double functions
// call libm lane by lane: nothing but tests sees them.
#pragma once

#include "kernels/cpu/simd.h"

namespace carousel::kernels::CAROUSEL_ISA {

template <class V>
struct VectorTraits;
template <>
struct VectorTraits<float> {
  using Element = float;
  using Bits = int32_t;
};
template <>
struct VectorTraits<double> {
  using Element = double;
  using Bits = int64_t;
};
#if !defined(CAROUSEL_ISA_SCALAR)
template <>
struct VectorTraits<Vec<float>> {
  using Element = float;
  using Bits = Vec<int32_t>;
};
template <>
struct VectorTraits<Vec<double>> {
  using Element = double;
  using Bits = Vec<int64_t>;
};
#endif

template <class V>
using ElementOf = typename VectorTraits<V>::Element;
template <class V>
using BitsOf = typename VectorTraits<V>::Bits;
template <class V>
inline constexpr bool kIsDouble = sizeof(ElementOf<V>) == sizeof(double);

template <class V>
[[gnu::always_inline]] inline BitsOf<V> ToBits(V x) {
  return __builtin_bit_cast(BitsOf<V>, x);
}
template <class V>
[[gnu::always_inline]] inline V FromBits(BitsOf<V> bits) {
  return __builtin_bit_cast(V, bits);
}

// `value` in every lane, its sign of zero kept.
template <class V>
[[gnu::always_inline]] inline V All(ElementOf<V> value) {
  return value - V{};
}

template <class V>
[[gnu::always_inline]] inline V ToFloat(BitsOf<V> whole) {
  if constexpr (sizeof(V) == sizeof(float)) {
    return static_cast<float>(whole);
  } else {
    return __builtin_convertvector(whole, V);
  }
}

// c0 + x (c1 + x (c2 + ...)) by fma.
template <class V>
[[gnu::always_inline]] inline V Polynomial(V, ElementOf<V> c) {
  return All<V>(c);
}
template <class V, class... More>
[[gnu::always_inline]] inline V Polynomial(V x, ElementOf<V> c, More... more) {
  return Fma(Polynomial<V>(x, more...), x, All<V>(c));
}

// Calls a scalar function for each lane.
template <class V, class Function>
[[gnu::always_inline]] inline V EachLane(V x, Function function) {
  if constexpr (sizeof(V) == sizeof(double)) {
    return function(x);
  } else {
    for (int64_t lane = 0; lane < int64_t{sizeof(V) / sizeof(double)}; ++lane) {
      x[lane] = function(x[lane]);
    }
    return x;
  }
}

namespace math {

inline constexpr float kInfinity = __builtin_inff();
inline constexpr float kNaN = __builtin_nanf("");
inline constexpr float kLog2E = 0x1.715476p0f;
inline constexpr float kLn2 = 0x1.62e43p-1f;
// ln 2 in two parts; the high one has 16 bits, so that n * kLn2High is exact.
inline constexpr float kLn2High = 0x1.62e4p-1f;
inline constexpr float kLn2Low = 0x1.7f7d1cp-20f;
inline constexpr int32_t kSqrtHalfBits = 0x3f3504f3;
inline constexpr int kMantissaBits = 23;

// x * 2^n for n in [-151, 128], rounded once.
template <class V>
[[gnu::always_inline]] inline V ScaleByPowerOf2(V x, V n, BitsOf<V> whole_n) {
#if defined(CAROUSEL_ISA_AVX512)
  if constexpr (sizeof(V) == 64) {
    return (V)_mm512_maskz_scalef_ps(0xffff, (__m512)x, (__m512)n);
  }
#endif
  const BitsOf<V> half = whole_n >> 1;
  const V first = FromBits<V>((half + 127) << kMantissaBits);
  const V second = FromBits<V>((whole_n - half + 127) << kMantissaBits);
  return x * first * second;
}

// (log1p(f) - f) for f in [sqrt(1/2) - 1, sqrt(2) - 1].
template <class V>
[[gnu::always_inline]] inline V Log1pTail(V f) {
  const V square = f * f;
  const V cubic = Polynomial<V>(f, 0x1.555548p-2f, -0x1.000072p-2f, 0x1.99a544p-3f, -0x1.552e44p-3f,
                                0x1.230252p-3f, -0x1.011138p-3f, 0x1.f01cd8p-4f, -0x1.bea45p-4f,
                                0x1.b3a7a6p-5f);
  return Fma(square * f, cubic, square * -0.5f);
}

// log1p for x in [0, 1].
template <class V>
[[gnu::always_inline]] inline V Log1pOfUnit(V x) {
  const auto upper = x > 0x1.a8279ap-2f;  // sqrt(2) - 1: there 1 + x = 2 (1 + f)
  const V f = upper ? Fma(x, All<V>(0.5f), All<V>(-0.5f)) : x;
  const V log_power = upper ? All<V>(kLn2) : V{};
  return log_power + (f + Log1pTail(f));
}

}  // namespace math

template <class V>
[[gnu::always_inline]] inline V Abs(V x) {
  constexpr auto kAllButSign =
      static_cast<Int<ElementOf<V>>>(~uint64_t{0} >> 1 >> (kIsDouble<V> ? 0 : 32));
  return FromBits<V>(ToBits(x) & kAllButSign);
}

// b where a is NaN; either where they are equal.
template <class V>
[[gnu::always_inline]] inline V Max(V a, V b) {
  return a > b ? a : b;
}
template <class V>
[[gnu::always_inline]] inline V Min(V a, V b) {
  return a < b ? a : b;
}

// Magnitude of `x`, which has no sign bit, with the sign of `sign`.
template <class V>
[[gnu::always_inline]] inline V WithSignOf(V x, V sign) {
  return FromBits<V>(ToBits(x) | (ToBits(sign) ^ ToBits(Abs(sign))));
}

// Clamped before the range reduction: exp(-inf) is exactly 0, and no infinity meets another.
template <class V>
[[gnu::always_inline]] inline V Exp(V x) {
  if constexpr (kIsDouble<V>) {
    return EachLane(x, [](double lane) { return __builtin_exp(lane); });
  } else {
    constexpr float kLeast = -104, kMost = 89;  // beyond: exactly 0, infinity
    constexpr float kRounder = 0x1.8p23f;       // x + kRounder: x to nearest in the low bits
    x = Min(All<V>(kMost), Max(All<V>(kLeast), x));
    const V rounded = Fma(x, All<V>(math::kLog2E), All<V>(kRounder));
    const V n = rounded - kRounder;
    const BitsOf<V> whole_n = ToBits(rounded) - ToBits(kRounder);
    const V r = Fma(n, All<V>(-math::kLn2Low), Fma(n, All<V>(-math::kLn2High), x));
    const V y = Polynomial<V>(r, 1, 1, 0x1.fffffcp-2f, 0x1.55548ap-3f, 0x1.55584ep-5f,
                              0x1.123f3p-7f, 0x1.6ad14ap-10f);
    return math::ScaleByPowerOf2<V>(y, n, whole_n);
  }
}

// -inf at 0, NaN below.
template <class V>
[[gnu::always_inline]] inline V Log(V x) {
  if constexpr (kIsDouble<V>) {
    return EachLane(x, [](double lane) { return __builtin_log(lane); });
  } else {
    const auto denormal = x < 0x1p-126f;
    V normal = denormal ? x * 0x1p23f : x;
    normal = x > 0.0f ? normal : All<V>(1);
    const BitsOf<V> n = (ToBits(normal) - math::kSqrtHalfBits) >> math::kMantissaBits;
    const V f = FromBits<V>(ToBits(normal) - (n << math::kMantissaBits)) - 1.0f;
    const V power = ToFloat<V>(n) - (denormal ? All<V>(math::kMantissaBits) : V{});
    V y = Fma(power, All<V>(math::kLn2), f + math::Log1pTail(f));
    y = x < math::kInfinity ? y : x;
    return x > 0.0f ? y : (x == 0.0f ? All<V>(-math::kInfinity) : All<V>(math::kNaN));
  }
}

// log(1 + x), exact near 0.
template <class V>
[[gnu::always_inline]] inline V Log1p(V x) {
  if constexpr (kIsDouble<V>) {
    return EachLane(x, [](double lane) { return __builtin_log1p(lane); });
  } else {
    const V sum = x + 1.0f;
    const auto small = x < 0x1p30f;  // beyond, 1 + x is x and Log is as good
    const V inside = small ? (sum > 0.0f ? sum : All<V>(1)) : All<V>(1);
    const BitsOf<V> n = (ToBits(inside) - math::kSqrtHalfBits) >> math::kMantissaBits;
    const V scale = FromBits<V>((127 - n) << math::kMantissaBits);
    const V f = Fma(sum > 0.0f ? x : V{}, scale, scale - 1.0f);
    const V y = Fma(ToFloat<V>(n), All<V>(math::kLn2), f + math::Log1pTail(f));
    return small ? (sum > 0.0f ? y : Log(sum)) : Log(x);
  }
}

// 1 / (1 + exp(-x)), written as e / (1 + e) with e = exp(x) below 0: accurate down to the smallest
// denormal.
template <class V>
[[gnu::always_inline]] inline V Sigmoid(V x) {
  const V e = Exp(-Abs(x));
  const V one = All<V>(1);
  return (x < ElementOf<V>{0} ? e : one) / (one + e);
}

// log(sigmoid(x)) = min(x, 0) - log1p(exp(-|x|)), and its derivative, 1 - sigmoid(x) = sigmoid(-x),
// which shares the exponential; small values of both have all their digits.
template <class V>
struct LogSigmoidAndSlope {
  V log, slope;
};
template <class V>
[[gnu::always_inline]] inline LogSigmoidAndSlope<V> LogSigmoidWithSlope(V x) {
  const V e = Exp(-Abs(x)), one = All<V>(1);
  const V slope = (x < ElementOf<V>{0} ? one : e) / (one + e);
  if constexpr (kIsDouble<V>) {
    return {Min(x, V{}) - Log1p(e), slope};
  } else {
    return {Min(x, V{}) - math::Log1pOfUnit(e), slope};
  }
}
template <class V>
[[gnu::always_inline]] inline V LogSigmoid(V x) {
  return LogSigmoidWithSlope(x).log;
}

// An odd polynomial near 0, 1 - 2 / (exp(2x) + 1) beyond.
template <class V>
[[gnu::always_inline]] inline V Tanh(V x) {
  if constexpr (kIsDouble<V>) {
    return EachLane(x, [](double lane) { return __builtin_tanh(lane); });
  } else {
    const V a = Abs(x);
    const V square = a * a;
    const V near = Fma(a * square,
                       Polynomial<V>(square, -0x1.555554p-2f, 0x1.11107ap-3f, -0x1.b9f188p-5f,
                                     0x1.63a55p-6f, -0x1.0c5edp-7f, 0x1.1a2816p-9f),
                       a);
    const V far = 1.0f - 2.0f / (Exp(a + a) + 1.0f);
    return WithSignOf<V>(a > 0.625f ? far : near, x);
  }
}

// An odd polynomial near 0, 1 - exp(-x - x p(x)) beyond.
template <class V>
[[gnu::always_inline]] inline V Erf(V x) {
  if constexpr (kIsDouble<V>) {
    return EachLane(x, [](double lane) { return __builtin_erf(lane); });
  } else {
    const V a = Min(All<V>(4), Abs(x));  // erf rounds to 1 there
    const V square = a * a;
    const V near =
        Fma(a,
            Polynomial<V>(square, 0x1.06eba8p-3f, -0x1.81274p-2f, 0x1.ce2d64p-4f, -0x1.b8011ap-6f,
                          0x1.544a1ap-8f, -0x1.a60a2ep-11f, 0x1.4f675ep-14f),
            a);
    const V exponent =
        Fma(a,
            Polynomial<V>(a, 0x1.077a5cp-3f, 0x1.453108p-1f, 0x1.b33992p-4f, -0x1.8596a4p-6f,
                          0x1.de72cp-9f, -0x1.547f8ep-12f, 0x1.7f4caep-17f),
            a);
    const V far = 1.0f - Exp(-exponent);
    return WithSignOf<V>(a > 0.927f ? far : near, x);
  }
}

}  // namespace carousel::kernels::CAROUSEL_ISA
