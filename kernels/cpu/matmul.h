// Matrix products C = A B: the one routine behind every projection, and the pieces that the cells
// build theirs from.
//
// Every element of C is ONE chain of fused multiply-adds in the order of k,
//   c = fma(a[m, k-1], b[k-1, n], ... fma(a[m, 1], b[1, n], fma(a[m, 0], b[0, n], start)))
// with start +0, or what C holds. Blocks of k store the chain and go on from what they stored,
// which loses nothing; threads split C, never k. So the bits depend on A, B and start alone: not on
// the instruction set, on threads, on tile sizes, or on how rows and columns are cut into calls.
// A chain that runs from the last k to the first is asked for with operands that point to the last
// k and have negative strides.
//
// Inside: A is packed into panels of up to kTileRows rows and B into panels of kTileColumns
// columns, k-major, so that the innermost loop reads both in order; a tile of C stays in registers
// for a whole block of k.
#pragma once

#include <cstdint>

#include "kernels/cpu/block_sizes.h"
#include "kernels/cpu/context.h"
#include "kernels/cpu/simd.h"

namespace carousel::kernels::CAROUSEL_ISA {

// Element (i, j) lies at data[i * row + j * column]; any strides, negative ones too.
template <class T>
struct Strided {
  const T* data = nullptr;
  int64_t row = 0, column = 0;
};

// Rows that lie `stride` apart.
template <class T>
Strided<T> Rows(const T* data, int64_t stride) {
  return {data, stride, 1};
}

// The same from the last row to the first, for chains that run so.
template <class T>
Strided<T> RowsFromTheLast(const T* data, int64_t rows, int64_t stride) {
  return {data + (rows - 1) * stride, -stride, 1};
}

template <class T>
Strided<T> Transposed(const Strided<T>& matrix) {
  return {matrix.data, matrix.column, matrix.row};
}

// c[m, n] = residual + ((start + sum_k a[m, k] b[k, n]) + bias[n]), each part optional.
template <class T>
struct Product {
  int64_t m = 0, n = 0, k = 0;
  Strided<T> a;                 // [m, k]
  Strided<T> b;                 // [k, n]
  T* c = nullptr;               // [m, n]; overlaps neither a nor b
  int64_t c_row = 0;            // its rows lie so far apart
  bool accumulate = false;      // start is c, not +0; excludes a residual
  const T* bias = nullptr;      // [n]
  const T* residual = nullptr;  // [m, n]; may be c itself, else overlaps nothing that is written
  int64_t residual_row = 0;
  // `count` products of these sizes; operands of the next one lie so many elements further.
  int64_t count = 1, a_next = 0, b_next = 0, c_next = 0;  // bias and residual: count == 1 only
};

// On all threads of the context. Uses the slots kPackA, kPackB and kMatmul.
template <class T>
void MatMul(Context& context, const Product<T>& product);

// --- For kernels that keep their operands packed in cache. One thread; no scratch of its own. ---

// The largest tile of C that stays in registers.
#if defined(CAROUSEL_ISA_AVX512)
inline constexpr int64_t kTileRows = 14;
inline constexpr int64_t kTileVectors = 2;
#elif defined(CAROUSEL_ISA_AVX2)
inline constexpr int64_t kTileRows = 6;
inline constexpr int64_t kTileVectors = 2;
#else
inline constexpr int64_t kTileRows = 4;
inline constexpr int64_t kTileVectors = 3;
#endif
template <class T>
inline constexpr int64_t kTileColumns = kTileVectors* kLanes<T>;
static_assert(kTileRows <= kMostTileRows && kTileColumns<float> <= kMostTileColumns);

// Elements of packed memory. Packed memory should be aligned to 64.
inline int64_t PackedRowsSize(int64_t rows, int64_t k) { return rows * k; }
template <class T>
inline int64_t PackedColumnsSize(int64_t k, int64_t columns) {
  return (columns + kLanes<T> - 1) / kLanes<T> * kLanes<T> * k;
}

// Rows are packed in panels of equal height, give or take one: panel p of `rows` rows starts at row
// FirstRow(rows, p), its elements at packed + FirstRow(rows, p) * k.
inline int64_t RowPanels(int64_t rows) { return (rows + kTileRows - 1) / kTileRows; }
inline int64_t FirstRow(int64_t rows, int64_t panel) { return panel * rows / RowPanels(rows); }

// a is [rows, k], b is [k, columns]. The packed columns are padded with zeros to whole vectors.
template <class T>
void PackRows(const Strided<T>& a, int64_t rows, int64_t k, T* packed);
template <class T>
void PackColumns(const Strided<T>& b, int64_t k, int64_t columns, T* packed);

// Where chains start and end. from == nullptr: they start at +0. `to` may be `from` or `residual`.
template <class T>
struct ChainEnds {
  const T* from = nullptr;
  int64_t from_row = 0;
  T* to = nullptr;
  int64_t to_row = 0;
  const T* bias = nullptr;  // added when the chain has ended, then the residual
  const T* residual = nullptr;
  int64_t residual_row = 0;
};

// [rows, columns] = packed a times packed b, one block of k.
template <class T>
void MultiplyPacked(int64_t rows, int64_t k, int64_t columns, const T* a, const T* b,
                    const ChainEnds<T>& ends);

}  // namespace carousel::kernels::CAROUSEL_ISA
