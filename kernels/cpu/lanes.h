// Sums, maxima and sums of products along a row, in one order whatever the vector width: element j
// goes to virtual lane j mod 32; a lane takes its elements in ascending order; the lanes are folded
// by a fixed tree (lane i with lane i + 16, then i + 8, + 4, + 2, + 1). A lane of a sum starts at
// +0, one of a maximum at -inf. This order is part of the numerics contract.
//
//   Sum(x, n), Dot(x, y, n)              in T; a lane of Dot is one fma chain
//   Largest(x, n)                        NaN elements are passed over
//   SumInDouble(x, n), DotInDouble(...)  the same of float elements, accumulated in double
//
// What fuses more into one pass over a row uses the parts:
//
//   Lanes<T> sum;
//   ForEachLaneVector<T>(n, [&](int64_t part, int64_t first, int64_t count) {
//     sum.Add(part, LoadUpTo<T>(x + first, count) - mean, count);
//   });
//   const T total = sum.Fold();
#pragma once

#include <utility>

#include "kernels/cpu/block_sizes.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/simd.h"

namespace carousel::kernels::CAROUSEL_ISA {

// Vectors that hold the lanes: lane l is element l % kLanes of part l / kLanes.
template <class T>
inline constexpr int64_t kLaneParts = kVirtualLanes / kLanes<T>;

// Calls body(part, first, count) for each vector of a row in ascending order; `part` is where its
// elements' lanes are kept. count < kLanes<T> for the last vector only.
template <class T, class Body>
[[gnu::always_inline]] inline void ForEachLaneVector(int64_t size, const Body& body) {
  int64_t first = 0;
  for (; first + kVirtualLanes <= size; first += kVirtualLanes) {
#pragma GCC unroll 32
    for (int64_t part = 0; part < kLaneParts<T>; ++part) {
      body(part, first + part * kLanes<T>, kLanes<T>);
    }
  }
  for (int64_t part = 0; first < size; ++part, first += kLanes<T>) {
    body(part, first, Min(size - first, kLanes<T>));
  }
}

// `x` with zeros after its first `count` elements.
template <class T>
[[gnu::always_inline]] inline Vec<T> KeepFirst(Vec<T> x, int64_t count) {
#if defined(CAROUSEL_ISA_AVX512)
  if constexpr (sizeof(T) == sizeof(float)) {
    return (Vec<T>)_mm512_maskz_mov_ps(FirstLanes(count), (__m512)x);
  } else {
    return (Vec<T>)_mm512_maskz_mov_pd(static_cast<__mmask8>(FirstLanes(count)), (__m512d)x);
  }
#elif defined(CAROUSEL_ISA_AVX2)
  return (Vec<T>)((__m256i)x & FirstLanes<T>(count));
#else
  return x;
#endif
}

// `x` with `rest` after its first `count` elements.
template <class T>
[[gnu::always_inline]] inline Vec<T> KeepFirst(Vec<T> x, int64_t count, Vec<T> rest) {
  const BitsOf<Vec<T>> after = ToBits(rest) ^ ToBits(KeepFirst<T>(rest, count));
  return FromBits<Vec<T>>(ToBits(KeepFirst<T>(x, count)) | after);
}

// Joins lane i of the lower half with lane i of the upper one, then the halves of that, and so on;
// `lane` counts the lanes of a half.
template <class T, class V, class Join, int... lane>
[[gnu::always_inline]] inline T FoldLanes(V x, const Join& join,
                                          std::integer_sequence<int, lane...>) {
  constexpr int kHalf = sizeof...(lane);
  if constexpr (kHalf == 0) {
    return x;
  } else if constexpr (kHalf == 1) {
    return join(T(x[0]), T(x[1]));
  } else {
    return FoldLanes<T>(join(__builtin_shufflevector(x, x, lane...),
                             __builtin_shufflevector(x, x, (kHalf + lane)...)),
                        join, std::make_integer_sequence<int, kHalf / 2>());
  }
}

// The accumulators of one row.
template <class T>
class Lanes {
 public:
  Lanes() : Lanes(0) {}
  explicit Lanes(T start) {
    for (Vec<T>& part : parts_) part = Splat<T>(start);
  }

  // Each takes in the first `count` elements of a vector.
  [[gnu::always_inline]] void Add(int64_t part, Vec<T> x, int64_t count) {
    if (count < kLanes<T>) x = KeepFirst<T>(x, count);
    parts_[part] = parts_[part] + x;
  }
  [[gnu::always_inline]] void AddProduct(int64_t part, Vec<T> x, Vec<T> y, int64_t count) {
    if (count < kLanes<T>) {  // a product of -0 leaves alone what is there, be it -0 by underflow
      x = KeepFirst<T>(x, count, Splat<T>(0));
      y = KeepFirst<T>(y, count, Splat<T>(-T(0)));
    }
    parts_[part] = Fma(x, y, parts_[part]);
  }
  // NaN elements are passed over. Needs Lanes(-inf).
  [[gnu::always_inline]] void AddLargest(int64_t part, Vec<T> x, int64_t count) {
    Vec<T> largest = x > parts_[part] ? x : parts_[part];
    parts_[part] = count < kLanes<T> ? KeepFirst<T>(largest, count, parts_[part]) : largest;
  }

  [[gnu::always_inline]] T Fold() const {
    return FoldBy([](auto a, auto b) __attribute__((always_inline)) { return a + b; });
  }
  [[gnu::always_inline]] T FoldLargest() const {
    return FoldBy([](auto a, auto b) __attribute__((always_inline)) { return Max(a, b); });
  }

 private:
  template <class Join>
  [[gnu::always_inline]] T FoldBy(const Join& join) const {
    Vec<T> folded[kLaneParts<T>];
    for (int64_t i = 0; i < kLaneParts<T>; ++i) folded[i] = parts_[i];
#pragma GCC unroll 5
    for (int64_t half = kLaneParts<T> / 2; half >= 1; half /= 2) {
#pragma GCC unroll 16
      for (int64_t i = 0; i < half; ++i) folded[i] = join(folded[i], folded[i + half]);
    }
    return FoldLanes<T>(folded[0], join, std::make_integer_sequence<int, kLanes<T> / 2>());
  }

  Vec<T> parts_[kLaneParts<T>];
};

// kLanes<double> elements as doubles; zeros after the first `count`.
template <class T>
[[gnu::always_inline]] inline Vec<double> LoadInDouble(const T* from, int64_t count) {
  if constexpr (sizeof(T) == sizeof(double)) {
    return LoadUpTo<double>(from, count);
  } else {
#if defined(CAROUSEL_ISA_SCALAR)
    return static_cast<double>(*from);
#else
    typedef float Half __attribute__((vector_size(kVectorBytes / 2)));
    Half half = {};
    if (count == kLanes<double>) {
      std::memcpy(&half, from, sizeof(half));
    } else {
      for (int64_t lane = 0; lane < count; ++lane) half[lane] = from[lane];
    }
#if defined(CAROUSEL_ISA_AVX512)
    return (Vec<double>)_mm512_maskz_cvtps_pd(kAllLanes8, (__m256)half);
#else
    return (Vec<double>)_mm256_cvtps_pd((__m128)half);
#endif
#endif
  }
}

template <class T>
[[gnu::always_inline]] inline T Sum(const T* x, int64_t n) {
  Lanes<T> sum;
  ForEachLaneVector<T>(n, [&](int64_t part, int64_t first, int64_t count) {
    sum.Add(part, LoadUpTo<T>(x + first, count), count);
  });
  return sum.Fold();
}

template <class T>
[[gnu::always_inline]] inline T Dot(const T* x, const T* y, int64_t n) {
  Lanes<T> sum;
  ForEachLaneVector<T>(n, [&](int64_t part, int64_t first, int64_t count) {
    sum.AddProduct(part, LoadUpTo<T>(x + first, count), LoadUpTo<T>(y + first, count), count);
  });
  return sum.Fold();
}

template <class T>
[[gnu::always_inline]] inline T Largest(const T* x, int64_t n) {
  Lanes<T> largest(-static_cast<T>(__builtin_inf()));
  ForEachLaneVector<T>(n, [&](int64_t part, int64_t first, int64_t count) {
    largest.AddLargest(part, LoadUpTo<T>(x + first, count), count);
  });
  return largest.FoldLargest();
}

template <class T>
[[gnu::always_inline]] inline double SumInDouble(const T* x, int64_t n) {
  Lanes<double> sum;
  ForEachLaneVector<double>(n, [&](int64_t part, int64_t first, int64_t count) {
    sum.Add(part, LoadInDouble<T>(x + first, count), count);
  });
  return sum.Fold();
}

template <class T>
[[gnu::always_inline]] inline double DotInDouble(const T* x, const T* y, int64_t n) {
  Lanes<double> sum;
  ForEachLaneVector<double>(n, [&](int64_t part, int64_t first, int64_t count) {
    sum.AddProduct(part, LoadInDouble<T>(x + first, count), LoadInDouble<T>(y + first, count),
                   count);
  });
  return sum.Fold();
}

}  // namespace carousel::kernels::CAROUSEL_ISA
