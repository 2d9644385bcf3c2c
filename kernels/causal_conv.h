// Causal depth-wise convolution over time with 4 taps, then SiLU (2024 family).
//
//   z[t] = bias + w[:, 3] x[t] + w[:, 2] x[t-1] + w[:, 1] x[t-2] + w[:, 0] x[t-3]
//   y[t] = z[t] * sigmoid(z[t])
//
// Chain of z: starts at bias, taps from the oldest (w[:, 0]) to the newest. A tap that would reach
// across a document border (a row whose reset flag is set starts a document) or before the sequence
// is left out by selection, so no bit depends on another document.
//
// Segments: the last 3 rows of x go to the next segment (carry), the first 3 rows of dz come back
// from it.
#pragma once

#include "kernels/span.h"

namespace carousel::kernels {

inline constexpr int64_t kConvTaps = 4;
inline constexpr int64_t kConvCarry = kConvTaps - 1;

struct ConvShape {
  int64_t steps = 0, batch = 0, width = 0;
};

struct ConvForward {
  ConvShape shape;
  Matrix x;        // [S * B, D]
  Span weight;     // [D, 4]
  Span bias;       // [D]
  Span reset;      // u8 [S, B], or empty: no row is reset
  Span carry_in;   // [3, B, D] rows t-3, t-2, t-1 before the segment, or empty: zeros
  Span y;          // [S, B, D]
  Span carry_out;  // [3, B, D] or empty; not carry_in
};

// z is computed again from x. dx is a chain in the order written, from +0 or, with `accumulate`,
// from what is there; no term crosses a document border.
//
//   dz    = dy * silu'(z)
//   dx[t] = w[:, 3] dz[t] + w[:, 2] dz[t+1] + w[:, 1] dz[t+2] + w[:, 0] dz[t+3]
struct ConvBackwardInput {
  ConvShape shape;
  Matrix x;
  Span weight, bias, reset, carry_in;
  Span dy;         // [S, B, D]
  Span dcarry_in;  // [3, B, D] the later segment's dcarry_out, or empty: zeros
  Span dz;         // [S, B, D], kept for the weight's gradient; may be dy
  Matrix dx;       // [S * B, D]
  bool accumulate = false;
  // [3, B, D] or empty: dz of rows 0, 1, 2, with zeros in rows that a reset at or before them cuts
  // off from the past.
  Span dcarry_out;
};

// Sums over rows from the last to the first:
//
//   dweight[:, 3-j] += dz[t] x[t-j], j = 0 ... 3
//   dbias           += dz[t]
struct ConvBackwardWeight {
  ConvShape shape;
  Matrix x;
  Span reset, carry_in, dz;
  Span dweight;  // [D, 4], accumulated
  Span dbias;    // [D], accumulated
};

}  // namespace carousel::kernels
