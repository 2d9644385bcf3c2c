// Sums along a row, in an order that belongs to the contract and not to a machine: element j goes to virtual lane j mod 32, and the lanes are
// folded by a fixed tree (lane i with lane i + 16, then i + 8, 4, 2, 1). A vector of 16, 8 or 1 elements plays several lanes at once.
#pragma once

#include <cstdint>

#include "kernels/cpu/simd.h"

namespace carousel::kernels::CAROUSEL_ISA {

inline constexpr int64_t kVirtualLanes = 32;

// Lanes from `count` on become zero: what a partial vector must hold before it is added.
template <class T>
[[gnu::always_inline]] inline Vec<T> KeepFirst(Vec<T> x, int64_t count) {
  if (count == kLanes<T>) return x;
  alignas(64) T lanes[kLanes<T>] = {};
  StorePartial<T>(lanes, x, count);
  return Load<T>(lanes);
}

template <class T>
class LaneSums {
 public:
  static constexpr int64_t kVectors = kVirtualLanes / kLanes<T>;

  // Adds value(first, count), a vector of elements [first, first + count) of the row, for the whole row [0, size).
  template <class Value>
  [[gnu::always_inline]] void AddRow(int64_t size, const Value& value) {
    int64_t first = 0;
    for (; first + kVirtualLanes <= size; first += kVirtualLanes) {
      for (int64_t v = 0; v < kVectors; ++v) sums_[v] = sums_[v] + value(first + v * kLanes<T>, kLanes<T>);
    }
    for (int64_t v = 0; first < size; ++v, first += kLanes<T>) {
      const int64_t count = size - first < kLanes<T> ? size - first : kLanes<T>;
      sums_[v] = sums_[v] + KeepFirst<T>(value(first, count), count);
    }
  }

  // The same with products: every lane is a chain of fma.
  template <class Factors>
  [[gnu::always_inline]] void AddProducts(int64_t size, const Factors& factors) {
    int64_t first = 0;
    auto add = [&](int64_t v, int64_t count) {
      Vec<T> a, b;
      factors(first, count, a, b);
      sums_[v] = Fma(KeepFirst<T>(a, count), KeepFirst<T>(b, count), sums_[v]);
    };
    for (; first + kVirtualLanes <= size;) {
      for (int64_t v = 0; v < kVectors; ++v, first += kLanes<T>) add(v, kLanes<T>);
    }
    for (int64_t v = 0; first < size; ++v, first += kLanes<T>) add(v, size - first < kLanes<T> ? size - first : kLanes<T>);
  }

  [[gnu::always_inline]] T Fold() const {
    Vec<T> folded[kVectors];
    for (int64_t v = 0; v < kVectors; ++v) folded[v] = sums_[v];
    int64_t lanes = kVirtualLanes;
    while (lanes > kLanes<T> && lanes > 1) {
      lanes /= 2;
      const int64_t half = lanes / kLanes<T>;
      for (int64_t v = 0; v < half; ++v) folded[v] = folded[v] + folded[v + half];
    }
    T last[kLanes<T>];
    Store<T>(last, folded[0]);
    while (lanes > 1) {
      lanes /= 2;
      for (int64_t lane = 0; lane < lanes; ++lane) last[lane] = last[lane] + last[lane + lanes];
    }
    return last[0];
  }

 private:
  Vec<T> sums_[kVectors] = {};
};

// Sum of squares of float (or double) elements, in double, over the same 32 lanes.
template <class T>
inline double SumOfSquares(const T* x, int64_t size) {
  double sums[kVirtualLanes] = {};
  int64_t first = 0;
  for (; first + kVirtualLanes <= size; first += kVirtualLanes) {
    for (int64_t lane = 0; lane < kVirtualLanes; ++lane) {
      const double value = x[first + lane];
      sums[lane] = Fma(value, value, sums[lane]);
    }
  }
  for (int64_t lane = 0; first + lane < size; ++lane) {
    const double value = x[first + lane];
    sums[lane] = Fma(value, value, sums[lane]);
  }
  for (int64_t lanes = kVirtualLanes / 2; lanes > 0; lanes /= 2) {
    for (int64_t lane = 0; lane < lanes; ++lane) sums[lane] += sums[lane + lanes];
  }
  return sums[0];
}

}  // namespace carousel::kernels::CAROUSEL_ISA
