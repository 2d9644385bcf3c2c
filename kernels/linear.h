// Linear maps y = x W^T + b, the head and every projection.
//
// Every output element is ONE chain of fused multiply-adds in the order of its summation index,
// starting at +0 (or from what is there, where the operation accumulates). Bits depend on nothing
// else: not on rows, columns, threads, SIMD width, or how rows are cut into calls. See
// kernels/cpu/matmul.h.
#pragma once

#include "kernels/span.h"

namespace carousel::kernels {

// y[r, o] = residual[r, o] + ((sum_k x[r, k] w[o, k], k ascending) + bias[o])
struct LinearForward {
  Matrix x;         // [rows, in]
  Span weight;      // [out, in]
  Span bias;        // [out] or empty
  Matrix residual;  // [rows, out] or empty; may be y itself
  Matrix y;         // [rows, out]
  int64_t rows = 0, in = 0, out = 0;
};

// dx[r, k] (+)= sum_o dy[r, o] w[o, k], o ascending; with `accumulate` the chain goes on from dx.
struct LinearBackwardInput {
  Matrix dy;    // [rows, out]
  Span weight;  // [out, in]
  Matrix dx;    // [rows, in]
  int64_t rows = 0, in = 0, out = 0;
  bool accumulate = false;
};

// dweight[o, k] += sum_r dy[r, o] x[r, k] and dbias[o] += sum_r dy[r, o], rows from last to first,
// going on from what is there.
struct LinearBackwardWeight {
  Matrix x;      // [rows, in]
  Matrix dy;     // [rows, out]
  Span dweight;  // [out, in], accumulated
  Span dbias;    // [out], accumulated, or empty
  int64_t rows = 0, in = 0, out = 0;
};

}  // namespace carousel::kernels
