// The gradient of a bias: sums over rows, one chain a column, from the last row to the first.
#pragma once

#include "kernels/cpu/split.h"

namespace carousel::kernels::CAROUSEL_ISA {

// sum[j] += from[r * row + j] for r = rows - 1 ... 0, j < columns. One thread.
template <class T>
inline void AddRowsFromTheLast(const T* from, int64_t row, int64_t rows, int64_t columns, T* sum) {
  const auto add = [&](int64_t r, int64_t i, int64_t n, Vec<T> chain)
      __attribute__((always_inline)) {
    return chain + LoadUpTo<T>(from + r * row + i, n);
  };
  ChainOverRows<T>(rows, columns, sum, add);
}

}  // namespace carousel::kernels::CAROUSEL_ISA
