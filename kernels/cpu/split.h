// How element-wise and row-wise operations are divided among threads: into fixed pieces, each the output of one task.
#pragma once

#include <cstdint>

#include "kernels/cpu/context.h"
#include "kernels/cpu/simd.h"

namespace carousel::kernels::CAROUSEL_ISA {

// body(first, count) for pieces of [0, size) of at most `grain`.
template <class Body>
inline void ParallelPieces(Context& context, int64_t size, int64_t grain, const Body& body) {
  const int64_t pieces = (size + grain - 1) / grain;
  Parallel(context, pieces, [&](int64_t piece, int) {
    const int64_t first = piece * grain;
    body(first, size - first < grain ? size - first : grain);
  });
}

// For n elements, body(first, count) with pieces of about 64 KiB of floats.
template <class Body>
inline void ParallelElements(Context& context, int64_t size, const Body& body) {
  ParallelPieces(context, size, 16384, body);
}

// For rows of `width` elements: body(first_row, rows).
template <class Body>
inline void ParallelRows(Context& context, int64_t rows, int64_t width, const Body& body) {
  const int64_t grain = 16384 / (width > 0 ? width : 1);
  ParallelPieces(context, rows, grain > 0 ? grain : 1, body);
}

// For outputs of one value a column that sum over rows: body(first_column, columns), whole vectors but at the end.
template <class Body>
inline void ParallelColumns(Context& context, int64_t width, const Body& body) {
  ParallelPieces(context, width, 128, body);
}

}  // namespace carousel::kernels::CAROUSEL_ISA
