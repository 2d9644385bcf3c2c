// Vectors of the instruction set that this source is compiled for: Vec<T> is a GCC vector (64 or 32
// bytes), or T itself on the scalar path, so that + - * / < and ?: work on all three. What is done
// to an element never depends on its neighbours; hence equal bits.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#ifndef CAROUSEL_ISA
#error "compile with isa_cc_library"
#endif

namespace carousel::kernels::CAROUSEL_ISA {

#if defined(CAROUSEL_ISA_AVX512)
inline constexpr int64_t kVectorBytes = 64;
// Masks for instructions whose unmasked forms draw false warnings from GCC 12.
inline constexpr unsigned char kAllLanes8 = 0xff;
inline constexpr unsigned short kAllLanes16 = 0xffff;
#elif defined(CAROUSEL_ISA_AVX2)
inline constexpr int64_t kVectorBytes = 32;
#endif

#if defined(CAROUSEL_ISA_SCALAR)
template <class T>
using Vec = T;
template <class T>
inline constexpr int64_t kLanes = 1;
#else
template <class T>
struct VecOf {
  typedef T type __attribute__((vector_size(kVectorBytes), aligned(sizeof(T)), may_alias));
};
template <class T>
struct VecRegister {
  typedef T type __attribute__((vector_size(kVectorBytes)));
};
template <class T>
using Vec = typename VecRegister<T>::type;
template <class T>
inline constexpr int64_t kLanes = kVectorBytes / sizeof(T);
#endif

// The integer of T's width, and vectors of it.
template <class T>
struct IntOf;
template <>
struct IntOf<float> {
  using type = int32_t;
};
template <>
struct IntOf<double> {
  using type = int64_t;
};
template <class T>
using Int = typename IntOf<T>::type;

#if defined(CAROUSEL_ISA_SCALAR)

template <class T>
[[gnu::always_inline]] inline T Load(const T* from) {
  return *from;
}
template <class T>
[[gnu::always_inline]] inline void Store(T* to, T value) {
  *to = value;
}
template <class T>
[[gnu::always_inline]] inline T LoadPartial(const T* from, int64_t count) {
  return count > 0 ? *from : T(0);
}
template <class T>
[[gnu::always_inline]] inline void StorePartial(T* to, T value, int64_t count) {
  if (count > 0) *to = value;
}
template <class T>
[[gnu::always_inline]] inline T Splat(T value) {
  return value;
}

#else

template <class T>
[[gnu::always_inline]] inline Vec<T> Load(const T* from) {
  return *reinterpret_cast<const typename VecOf<T>::type*>(from);
}
template <class T>
[[gnu::always_inline]] inline void Store(T* to, Vec<T> value) {
  *reinterpret_cast<typename VecOf<T>::type*>(to) = value;
}
template <class T>
[[gnu::always_inline]] inline Vec<T> Splat(T value);

#if defined(CAROUSEL_ISA_AVX512)
template <>
[[gnu::always_inline]] inline Vec<float> Splat<float>(float value) {
  return (Vec<float>)_mm512_set1_ps(value);
}
template <>
[[gnu::always_inline]] inline Vec<double> Splat<double>(double value) {
  return (Vec<double>)_mm512_set1_pd(value);
}
#else
template <>
[[gnu::always_inline]] inline Vec<float> Splat<float>(float value) {
  return (Vec<float>)_mm256_set1_ps(value);
}
template <>
[[gnu::always_inline]] inline Vec<double> Splat<double>(double value) {
  return (Vec<double>)_mm256_set1_pd(value);
}
#endif

// LoadPartial: the first `count` elements, 0 <= count <= kLanes; zeros in the lanes after them.
// Reads nothing beyond. StorePartial writes the first `count` lanes.
#if defined(CAROUSEL_ISA_AVX512)
[[gnu::always_inline]] inline __mmask16 FirstLanes(int64_t count) {
  return static_cast<__mmask16>((1u << count) - 1);
}
template <class T>
[[gnu::always_inline]] inline Vec<T> LoadPartial(const T* from, int64_t count) {
  if constexpr (sizeof(T) == 4) {
    return (Vec<T>)_mm512_maskz_loadu_ps(FirstLanes(count), from);
  } else {
    return (Vec<T>)_mm512_maskz_loadu_pd(static_cast<__mmask8>(FirstLanes(count)), from);
  }
}
template <class T>
[[gnu::always_inline]] inline void StorePartial(T* to, Vec<T> value, int64_t count) {
  if constexpr (sizeof(T) == 4) {
    _mm512_mask_storeu_ps(to, FirstLanes(count), (__m512)value);
  } else {
    _mm512_mask_storeu_pd(to, static_cast<__mmask8>(FirstLanes(count)), (__m512d)value);
  }
}
#else
template <class T>
[[gnu::always_inline]] inline __m256i FirstLanes(int64_t count) {
  if constexpr (sizeof(T) == 4) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  } else {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(count), _mm256_setr_epi64x(0, 1, 2, 3));
  }
}
template <class T>
[[gnu::always_inline]] inline Vec<T> LoadPartial(const T* from, int64_t count) {
  if constexpr (sizeof(T) == 4) {
    return (Vec<T>)_mm256_maskload_ps(from, FirstLanes<T>(count));
  } else {
    return (Vec<T>)_mm256_maskload_pd(from, FirstLanes<T>(count));
  }
}
template <class T>
[[gnu::always_inline]] inline void StorePartial(T* to, Vec<T> value, int64_t count) {
  if constexpr (sizeof(T) == 4) {
    _mm256_maskstore_ps(to, FirstLanes<T>(count), (__m256)value);
  } else {
    _mm256_maskstore_pd(to, FirstLanes<T>(count), (__m256d)value);
  }
}
#endif

#endif

// a * b + c, rounded once.
[[gnu::always_inline]] inline float Fma(float a, float b, float c) {
  return __builtin_fmaf(a, b, c);
}
[[gnu::always_inline]] inline double Fma(double a, double b, double c) {
  return __builtin_fma(a, b, c);
}
[[gnu::always_inline]] inline float Sqrt(float a) { return __builtin_sqrtf(a); }
[[gnu::always_inline]] inline double Sqrt(double a) { return __builtin_sqrt(a); }

#if defined(CAROUSEL_ISA_AVX512)
[[gnu::always_inline]] inline Vec<float> Fma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return (Vec<float>)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
[[gnu::always_inline]] inline Vec<double> Fma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return (Vec<double>)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}
[[gnu::always_inline]] inline Vec<float> Sqrt(Vec<float> a) {
  return (Vec<float>)_mm512_maskz_sqrt_ps(kAllLanes16, (__m512)a);
}
[[gnu::always_inline]] inline Vec<double> Sqrt(Vec<double> a) {
  return (Vec<double>)_mm512_maskz_sqrt_pd(kAllLanes8, (__m512d)a);
}
#elif defined(CAROUSEL_ISA_AVX2)
[[gnu::always_inline]] inline Vec<float> Fma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return (Vec<float>)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
[[gnu::always_inline]] inline Vec<double> Fma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return (Vec<double>)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}
[[gnu::always_inline]] inline Vec<float> Sqrt(Vec<float> a) {
  return (Vec<float>)_mm256_sqrt_ps((__m256)a);
}
[[gnu::always_inline]] inline Vec<double> Sqrt(Vec<double> a) {
  return (Vec<double>)_mm256_sqrt_pd((__m256d)a);
}
#endif

// Transposes a square of kLanes x kLanes elements: lane j of rows[i] trades places with lane i of
// rows[j].
#if defined(CAROUSEL_ISA_AVX512)
[[gnu::always_inline]] inline void Transpose(Vec<float> (&rows)[16]) {
  __m512d pair[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    pair[i] = _mm512_castps_pd(
        _mm512_maskz_unpacklo_ps(kAllLanes16, (__m512)rows[i], (__m512)rows[i + 1]));
    pair[i + 1] = _mm512_castps_pd(
        _mm512_maskz_unpackhi_ps(kAllLanes16, (__m512)rows[i], (__m512)rows[i + 1]));
  }
  __m512 quad[16];  // quad[4 g + c]: columns c, c + 4, c + 8, c + 12 of rows 4 g .. 4 g + 3
#pragma GCC unroll 4
  for (int g = 0; g < 16; g += 4) {
    quad[g] = _mm512_castpd_ps(_mm512_maskz_unpacklo_pd(kAllLanes8, pair[g], pair[g + 2]));
    quad[g + 1] = _mm512_castpd_ps(_mm512_maskz_unpackhi_pd(kAllLanes8, pair[g], pair[g + 2]));
    quad[g + 2] = _mm512_castpd_ps(_mm512_maskz_unpacklo_pd(kAllLanes8, pair[g + 1], pair[g + 3]));
    quad[g + 3] = _mm512_castpd_ps(_mm512_maskz_unpackhi_pd(kAllLanes8, pair[g + 1], pair[g + 3]));
  }
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    const __m512 upper_even = _mm512_maskz_shuffle_f32x4(kAllLanes16, quad[c], quad[4 + c], 0x88);
    const __m512 upper_odd = _mm512_maskz_shuffle_f32x4(kAllLanes16, quad[c], quad[4 + c], 0xdd);
    const __m512 lower_even =
        _mm512_maskz_shuffle_f32x4(kAllLanes16, quad[8 + c], quad[12 + c], 0x88);
    const __m512 lower_odd =
        _mm512_maskz_shuffle_f32x4(kAllLanes16, quad[8 + c], quad[12 + c], 0xdd);
    rows[c] = (Vec<float>)_mm512_maskz_shuffle_f32x4(kAllLanes16, upper_even, lower_even, 0x88);
    rows[4 + c] = (Vec<float>)_mm512_maskz_shuffle_f32x4(kAllLanes16, upper_odd, lower_odd, 0x88);
    rows[8 + c] = (Vec<float>)_mm512_maskz_shuffle_f32x4(kAllLanes16, upper_even, lower_even, 0xdd);
    rows[12 + c] = (Vec<float>)_mm512_maskz_shuffle_f32x4(kAllLanes16, upper_odd, lower_odd, 0xdd);
  }
}
[[gnu::always_inline]] inline void Transpose(Vec<double> (&rows)[8]) {
  __m512d pair[8];  // pair[2 g + c]: columns c, c + 2, c + 4, c + 6 of rows 2 g and 2 g + 1
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    pair[i] = _mm512_maskz_unpacklo_pd(kAllLanes8, (__m512d)rows[i], (__m512d)rows[i + 1]);
    pair[i + 1] = _mm512_maskz_unpackhi_pd(kAllLanes8, (__m512d)rows[i], (__m512d)rows[i + 1]);
  }
#pragma GCC unroll 2
  for (int c = 0; c < 2; ++c) {
    const __m512d upper_even = _mm512_maskz_shuffle_f64x2(kAllLanes8, pair[c], pair[2 + c], 0x88);
    const __m512d upper_odd = _mm512_maskz_shuffle_f64x2(kAllLanes8, pair[c], pair[2 + c], 0xdd);
    const __m512d lower_even =
        _mm512_maskz_shuffle_f64x2(kAllLanes8, pair[4 + c], pair[6 + c], 0x88);
    const __m512d lower_odd =
        _mm512_maskz_shuffle_f64x2(kAllLanes8, pair[4 + c], pair[6 + c], 0xdd);
    rows[c] = (Vec<double>)_mm512_maskz_shuffle_f64x2(kAllLanes8, upper_even, lower_even, 0x88);
    rows[2 + c] = (Vec<double>)_mm512_maskz_shuffle_f64x2(kAllLanes8, upper_odd, lower_odd, 0x88);
    rows[4 + c] = (Vec<double>)_mm512_maskz_shuffle_f64x2(kAllLanes8, upper_even, lower_even, 0xdd);
    rows[6 + c] = (Vec<double>)_mm512_maskz_shuffle_f64x2(kAllLanes8, upper_odd, lower_odd, 0xdd);
  }
}
#elif defined(CAROUSEL_ISA_AVX2)
[[gnu::always_inline]] inline void Transpose(Vec<float> (&rows)[8]) {
  __m256d pair[8];
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    pair[i] = _mm256_castps_pd(_mm256_unpacklo_ps((__m256)rows[i], (__m256)rows[i + 1]));
    pair[i + 1] = _mm256_castps_pd(_mm256_unpackhi_ps((__m256)rows[i], (__m256)rows[i + 1]));
  }
  __m256 quad[8];  // quad[4 g + c]: columns c and c + 4 of rows 4 g .. 4 g + 3
#pragma GCC unroll 2
  for (int g = 0; g < 8; g += 4) {
    quad[g] = _mm256_castpd_ps(_mm256_unpacklo_pd(pair[g], pair[g + 2]));
    quad[g + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(pair[g], pair[g + 2]));
    quad[g + 2] = _mm256_castpd_ps(_mm256_unpacklo_pd(pair[g + 1], pair[g + 3]));
    quad[g + 3] = _mm256_castpd_ps(_mm256_unpackhi_pd(pair[g + 1], pair[g + 3]));
  }
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    rows[c] = (Vec<float>)_mm256_permute2f128_ps(quad[c], quad[4 + c], 0x20);
    rows[4 + c] = (Vec<float>)_mm256_permute2f128_ps(quad[c], quad[4 + c], 0x31);
  }
}
[[gnu::always_inline]] inline void Transpose(Vec<double> (&rows)[4]) {
  __m256d pair[4];
#pragma GCC unroll 2
  for (int i = 0; i < 4; i += 2) {
    pair[i] = _mm256_unpacklo_pd((__m256d)rows[i], (__m256d)rows[i + 1]);
    pair[i + 1] = _mm256_unpackhi_pd((__m256d)rows[i], (__m256d)rows[i + 1]);
  }
#pragma GCC unroll 2
  for (int c = 0; c < 2; ++c) {
    rows[c] = (Vec<double>)_mm256_permute2f128_pd(pair[c], pair[2 + c], 0x20);
    rows[2 + c] = (Vec<double>)_mm256_permute2f128_pd(pair[c], pair[2 + c], 0x31);
  }
}
#endif

// Of each aligned group of four lanes, lane `kLane` in all four.
#if defined(CAROUSEL_ISA_AVX512)
template <int kLane>
[[gnu::always_inline]] inline Vec<float> SplatInFours(Vec<float> a) {
  return (Vec<float>)_mm512_maskz_permute_ps(kAllLanes16, (__m512)a, kLane * 0x55);
}
template <int kLane>
[[gnu::always_inline]] inline Vec<double> SplatInFours(Vec<double> a) {
  return (Vec<double>)_mm512_maskz_permutex_pd(kAllLanes8, (__m512d)a, kLane * 0x55);
}
#elif defined(CAROUSEL_ISA_AVX2)
template <int kLane>
[[gnu::always_inline]] inline Vec<float> SplatInFours(Vec<float> a) {
  return (Vec<float>)_mm256_permute_ps((__m256)a, kLane * 0x55);
}
template <int kLane>
[[gnu::always_inline]] inline Vec<double> SplatInFours(Vec<double> a) {
  return (Vec<double>)_mm256_permute4x64_pd((__m256d)a, kLane * 0x55);
}
#endif

// Calls body(first, count) for [0, size) in steps of a vector; count < kLanes<T> for the tail only.
template <class T, class Body>
[[gnu::always_inline]] inline void ForEachVector(int64_t size, const Body& body) {
  int64_t first = 0;
  for (; first + kLanes<T> <= size; first += kLanes<T>) body(first, kLanes<T>);
  if (first < size) body(first, size - first);
}

// Load or store of a full or partial vector: what the body of ForEachVector uses.
template <class T>
[[gnu::always_inline]] inline Vec<T> LoadUpTo(const T* from, int64_t count) {
  return count == kLanes<T> ? Load<T>(from) : LoadPartial<T>(from, count);
}
template <class T>
[[gnu::always_inline]] inline void StoreUpTo(T* to, Vec<T> value, int64_t count) {
  if (count == kLanes<T>) {
    Store<T>(to, value);
  } else {
    StorePartial<T>(to, value, count);
  }
}

// ParallelFor over a callable, without std::function: body(index, thread).
template <class ContextType, class Body>
inline void Parallel(ContextType& context, int64_t count, const Body& body) {
  context.ParallelFor(
      count,
      [](void* argument, int64_t index, int thread) {
        (*static_cast<const Body*>(argument))(index, thread);
      },
      const_cast<Body*>(&body));
}

}  // namespace carousel::kernels::CAROUSEL_ISA
