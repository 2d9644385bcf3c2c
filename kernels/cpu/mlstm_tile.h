// Products of matrices that are in cache already, as the chunks of the mLSTM need them: many small
// ones, whose operands are read where they lie, without packing; and their transposes.
//
// Every element of C is one chain of fused multiply-adds in ascending k, from +0 or from what C
// holds; so its bits depend neither on the instruction set nor on how rows are cut into tiles.
#pragma once

#include <cstdint>

#include "kernels/cpu/simd.h"

namespace carousel::kernels::CAROUSEL_ISA {
namespace tile {

// Rows of these matrices lie a pitch apart: a multiple of 64 bytes, so that a row starts a cache
// line, and an odd one, so that a column does not fall into one set of the cache.
template <class T>
constexpr int64_t Pitch(int64_t columns) {
  constexpr int64_t kLine = 64 / sizeof(T);
  return ((columns + kLine - 1) / kLine | 1) * kLine;
}

// Columns are computed a whole cache line at a time: what lies between `columns` and this has
// undefined content in C, and must be readable in B.
template <class T>
constexpr int64_t Padded(int64_t columns) {
  constexpr int64_t kLine = 64 / sizeof(T);
  return (columns + kLine - 1) / kLine * kLine;
}

#if defined(CAROUSEL_ISA_AVX512)
inline constexpr int kRows = 8;
inline constexpr int kVectors = 2;
#elif defined(CAROUSEL_ISA_AVX2)
inline constexpr int kRows = 6;
inline constexpr int kVectors = 2;
#else
inline constexpr int kRows = 4;
inline constexpr int kVectors = 2;
#endif

enum class Start { kZero, kFromC };  // of chains: +0, or what C holds

// A matrix in scratch memory: row r starts at data + r * pitch.
template <class T>
struct Block {
  T* data = nullptr;
  int64_t pitch = 0;

  T* Row(int64_t row) const { return data + row * pitch; }
  Block At(int64_t row, int64_t column) const { return {Row(row) + column, pitch}; }
};

// A left operand: element (row, k) lies at data[row * row_step + k * k_step].
template <class T>
struct Left {
  const T* data;
  int64_t row_step, k_step;

  Left Below(int64_t rows) const { return {data + rows * row_step, row_step, k_step}; }
};
template <class T>
Left<T> AsLeft(Block<T> block) {
  return {block.data, block.pitch, 1};
}
template <class T>
Left<T> TransposedLeft(Block<T> block) {
  return {block.data, 1, block.pitch};
}

template <class T, int kR, int kV, Start start>
[[gnu::always_inline]] inline void Tile(int64_t depth, Left<T> a, Block<T> b, Block<T> c) {
  Vec<T> sum[kR][kV];
#pragma GCC unroll 16
  for (int r = 0; r < kR; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kV; ++v) {
      sum[r][v] = start == Start::kZero ? Vec<T>{} : Load<T>(c.Row(r) + v * kLanes<T>);
    }
  }
  for (int64_t k = 0; k < depth; ++k) {
    Vec<T> row[kV];
#pragma GCC unroll 16
    for (int v = 0; v < kV; ++v) row[v] = Load<T>(b.Row(k) + v * kLanes<T>);
#pragma GCC unroll 16
    for (int r = 0; r < kR; ++r) {
      const Vec<T> factor = Splat<T>(a.data[r * a.row_step + k * a.k_step]);
#pragma GCC unroll 16
      for (int v = 0; v < kV; ++v) sum[r][v] = Fma(factor, row[v], sum[r][v]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kR; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kV; ++v) Store<T>(c.Row(r) + v * kLanes<T>, sum[r][v]);
  }
}

// The rows that are left over when whole tiles are done: at most kR.
template <class T, int kR, int kV, Start start>
inline void LastRows(int64_t rows, int64_t depth, Left<T> a, Block<T> b, Block<T> c) {
  if constexpr (kR > 0) {
    if (rows == kR) return Tile<T, kR, kV, start>(depth, a, b, c);
    LastRows<T, kR - 1, kV, start>(rows, depth, a, b, c);
  }
}

template <class T, int kV, Start start>
inline void ColumnStrip(int64_t rows, int64_t depth, Left<T> a, Block<T> b, Block<T> c) {
  int64_t r = 0;
  for (; r + kRows <= rows; r += kRows) {
    Tile<T, kRows, kV, start>(depth, a.Below(r), b, c.At(r, 0));
  }
  LastRows<T, kRows - 1, kV, start>(rows - r, depth, a.Below(r), b, c.At(r, 0));
}

template <Start start, class T>
inline void ColumnStrips(int64_t rows, int64_t columns, int64_t depth, Left<T> a, Block<T> b,
                         Block<T> c) {
  const int64_t end = Padded<T>(columns);
  int64_t first = 0;
  for (; first + kVectors * kLanes<T> <= end; first += kVectors * kLanes<T>) {
    ColumnStrip<T, kVectors, start>(rows, depth, a, b.At(0, first), c.At(0, first));
  }
  for (; first < end; first += kLanes<T>) {
    ColumnStrip<T, 1, start>(rows, depth, a, b.At(0, first), c.At(0, first));
  }
}

// c[rows, columns] = start + a[rows, depth] b[depth, columns], columns rounded up by Padded.
template <class T>
inline void Multiply(Start start, int64_t rows, int64_t columns, int64_t depth, Left<T> a,
                     Block<T> b, Block<T> c) {
  if (start == Start::kZero) {
    ColumnStrips<Start::kZero>(rows, columns, depth, a, b, c);
  } else {
    ColumnStrips<Start::kFromC>(rows, columns, depth, a, b, c);
  }
}

// to[column, row] = from[row, column].
template <class T>
void Transpose(int64_t rows, int64_t columns, Block<T> from, Block<T> to);

}  // namespace tile
}  // namespace carousel::kernels::CAROUSEL_ISA
