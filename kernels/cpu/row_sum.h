// The gradient of a bias: sums over rows, one chain a column, from the last row to the first.
#pragma once

#include "kernels/cpu/simd.h"

namespace carousel::kernels::CAROUSEL_ISA {

// sum[j] += from[r * row + j] for r = rows - 1 ... 0, j < columns. One thread.
template <class T>
inline void AddRowsFromTheLast(const T* from, int64_t row, int64_t rows, int64_t columns, T* sum) {
  ForEachVector<T>(columns, [&](int64_t column, int64_t count) {
    Vec<T> chain = LoadUpTo<T>(sum + column, count);
    for (int64_t r = rows - 1; r >= 0; --r) {
      chain = chain + LoadUpTo<T>(from + r * row + column, count);
    }
    StoreUpTo<T>(sum + column, chain, count);
  });
}

}  // namespace carousel::kernels::CAROUSEL_ISA
