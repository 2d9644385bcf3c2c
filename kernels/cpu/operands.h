// What an operation asks of its operands before it touches them: room for what its sizes say. One
// KERNEL_CHECK an operand, so that a failed one names it. Element types are checked where an
// address is taken (Span::As).
#pragma once

#include "kernels/check.h"
#include "kernels/span.h"

namespace carousel::kernels::CAROUSEL_ISA {

[[gnu::always_inline]] inline bool Holds(const Span& span, int64_t size) {
  return size >= 0 && span.size() >= size;
}

// Rows of `columns` elements.
[[gnu::always_inline]] inline bool Holds(const Matrix& matrix, int64_t rows, int64_t columns) {
  if (rows == 0 || columns == 0) return true;
  return rows > 0 && matrix.stride >= columns &&
         Holds(matrix.data, (rows - 1) * matrix.stride + columns);
}

// For operands that may be left out.
[[gnu::always_inline]] inline bool IsEmptyOrHolds(const Span& span, int64_t size) {
  return span.empty() || Holds(span, size);
}

// Reset flags are optional everywhere: without them no row is reset.
[[gnu::always_inline]] inline bool IsReset(const uint8_t* reset, int64_t flag) {
  return reset != nullptr && reset[flag] != 0;
}

}  // namespace carousel::kernels::CAROUSEL_ISA
