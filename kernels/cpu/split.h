// How operations are divided among threads. A piece is the output of one task, and no sum is cut,
// so neither the number of threads nor the size of a piece changes a bit.
#pragma once

#include "kernels/cpu/context.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/simd.h"

namespace carousel::kernels::CAROUSEL_ISA {

// body(first, count) for pieces of [0, size) of at most `grain`.
template <class Body>
inline void ParallelPieces(Context& context, int64_t size, int64_t grain, const Body& body) {
  Parallel(context, (size + grain - 1) / grain, [&](int64_t piece, int) {
    const int64_t first = piece * grain;
    body(first, Min(size - first, grain));
  });
}

// For `size` independent elements: body(first, count).
template <class Body>
inline void ParallelElements(Context& context, int64_t size, const Body& body) {
  ParallelPieces(context, size, 16384, body);
}

// For independent rows of `width` elements: body(first_row, rows).
template <class Body>
inline void ParallelRows(Context& context, int64_t rows, int64_t width, const Body& body) {
  ParallelPieces(context, rows, Max<int64_t>(1, 16384 / Max<int64_t>(1, width)), body);
}

// For outputs of one value a column, each a chain over rows: body(first_column, columns). Pieces
// are as wide as the threads allow, since rows are read along.
template <class Body>
inline void ParallelColumns(Context& context, int64_t width, const Body& body) {
  constexpr int64_t kLine = 32;
  const int64_t share = (width + context.threads() - 1) / context.threads();
  ParallelPieces(context, width, Max<int64_t>(1, (share + kLine - 1) / kLine) * kLine, body);
}

// One chain a column, from the last row to the first: sums[i] becomes sum = step(row, i, count,
// sum) of every row, vector by vector. Rows are taken in blocks, so that a block's rows are read
// along.
template <class T, class Step>
[[gnu::always_inline]] inline void ChainOverRows(int64_t rows, int64_t columns, T* sums,
                                                 const Step& step) {
  constexpr int64_t kBlock = 16, kAbreast = 4;
  for (int64_t end = rows; end > 0; end -= kBlock) {
    const int64_t begin = Max<int64_t>(0, end - kBlock);
    int64_t i = 0;
    for (; i + kAbreast * kLanes<T> <= columns; i += kAbreast * kLanes<T>) {
      Vec<T> sum[kAbreast];
      for (int64_t v = 0; v < kAbreast; ++v) sum[v] = Load<T>(sums + i + v * kLanes<T>);
      for (int64_t row = end - 1; row >= begin; --row) {
        for (int64_t v = 0; v < kAbreast; ++v) {
          sum[v] = step(row, i + v * kLanes<T>, kLanes<T>, sum[v]);
        }
      }
      for (int64_t v = 0; v < kAbreast; ++v) Store<T>(sums + i + v * kLanes<T>, sum[v]);
    }
    for (; i < columns; i += kLanes<T>) {
      const int64_t count = Min(columns - i, kLanes<T>);
      Vec<T> sum = LoadUpTo<T>(sums + i, count);
      for (int64_t row = end - 1; row >= begin; --row) sum = step(row, i, count, sum);
      StoreUpTo<T>(sums + i, sum, count);
    }
  }
}

}  // namespace carousel::kernels::CAROUSEL_ISA
