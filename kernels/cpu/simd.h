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
// The first `count` elements; zeros in the lanes after them. Reads nothing beyond.
template <class T>
[[gnu::always_inline]] inline Vec<T> LoadPartial(const T* from, int64_t count) {
  alignas(kVectorBytes) T lanes[kLanes<T>] = {};
  for (int64_t lane = 0; lane < count; ++lane) lanes[lane] = from[lane];
  return Load<T>(lanes);
}
template <class T>
[[gnu::always_inline]] inline void StorePartial(T* to, Vec<T> value, int64_t count) {
  alignas(kVectorBytes) T lanes[kLanes<T>];
  Store<T>(lanes, value);
  for (int64_t lane = 0; lane < count; ++lane) to[lane] = lanes[lane];
}
template <class T>
[[gnu::always_inline]] inline Vec<T> Splat(T value) {
  return Vec<T>{} + value;
}

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
  return (Vec<float>)_mm512_sqrt_ps((__m512)a);
}
[[gnu::always_inline]] inline Vec<double> Sqrt(Vec<double> a) {
  return (Vec<double>)_mm512_sqrt_pd((__m512d)a);
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
