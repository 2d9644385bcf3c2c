// Block-diagonal linear maps: N blocks, each a small dense map of its own slice. The 2024 family's
// q, k, v (blocks of 4) and the gate inputs of its sLSTM (one block a head). Chains as in
// kernels/linear.h.
#pragma once

#include "kernels/span.h"

namespace carousel::kernels {

// y[r, n * out + o] = sum_k x[r, n * in + k] w[n, o, k]
struct BlockLinearForward {
  Matrix x;     // [rows, N * in]
  Span weight;  // [N, out, in]
  Matrix y;     // [rows, N * out]
  int64_t rows = 0, blocks = 0, in = 0, out = 0;
};

// dx[r, n * in + k] (+)= sum_o dy[r, n * out + o] w[n, o, k]; with `accumulate` the chain goes on
// from dx.
struct BlockLinearBackwardInput {
  Matrix dy;
  Span weight;
  Matrix dx;
  int64_t rows = 0, blocks = 0, in = 0, out = 0;
  bool accumulate = false;
};

// dweight[n, o, k] += sum_r dy[r, n * out + o] x[r, n * in + k], rows from last to first.
struct BlockLinearBackwardWeight {
  Matrix x;
  Matrix dy;
  Span dweight;  // [N, out, in], accumulated
  int64_t rows = 0, blocks = 0, in = 0, out = 0;
};

}  // namespace carousel::kernels
