// Causal depth-wise convolution over time with 4 taps, then SiLU (2024 family).
//
//   z[t] = bias + w[:, 3] x[t] + w[:, 2] x[t-1] + w[:, 1] x[t-2] + w[:, 0] x[t-3],  y[t] = z[t] *
//   sigmoid(z[t])
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
  Span reset;      // u8 [S, B]
  Span carry_in;   // [3, B, D] rows t-3, t-2, t-1 before the segment, or empty: zeros
  Span y;          // [S, B, D]
  Span carry_out;  // [3, B, D] or empty; not carry_in
};

// dz = dy * silu'(z) (z is computed again from x); dx[t] (+)= sum_j w[:, 3-j] dz[t+j], j ascending,
// across no document border.
struct ConvBackwardInput {
  ConvShape shape;
  Matrix x;
  Span weight, bias, reset, carry_in;
  Span dy;                  // [S, B, D]
  Span dcarry_in;           // [3, B, D] the later segment's dcarry_out, or empty: zeros
  Span dz;                  // [S, B, D], kept for the weight's gradient; may be dy
  Matrix dx;                // [S * B, D]
  bool accumulate = false;  // add to dx instead of writing it
  Span dcarry_out;  // [3, B, D] or empty: dz of rows 0, 1, 2, with zero in rows that a reset at or
                    // before them cuts off from the past
};

// dweight[d, 3-j] += dz[t] x[t-j], dbias[d] += dz[t], rows from last to first.
struct ConvBackwardWeight {
  ConvShape shape;
  Matrix x;
  Span reset, carry_in, dz;
  Span dweight;  // [D, 4], accumulated
  Span dbias;    // [D], accumulated
};

}  // namespace carousel::kernels
