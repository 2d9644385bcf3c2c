// Embedding: rows of a table chosen by token.
#pragma once

#include "kernels/span.h"

namespace carousel::kernels {

// y[r, :] = table[token[r], :]
struct EmbeddingForward {
  Span tokens;  // i32 [rows], each in [0, V)
  Span table;   // [V, D]
  Span y;       // [rows, D]
  int64_t rows = 0, width = 0;
};

// dtable[token[r], :] += dy[r, :], rows from last to first: one chain of sums per element of the
// table.
struct EmbeddingBackwardWeight {
  Span tokens;  // i32 [rows]
  Span dy;      // [rows, D]
  Span dtable;  // [V, D], accumulated
  int64_t rows = 0, width = 0;
};

}  // namespace carousel::kernels
