// Norms along a row, over G groups of W neighbouring elements (G = 1: LayerNorm and RMSNorm of a
// row; G = NH: the head-wise norm).
//
//   mean  = (1/W) sum x, or 0 unless `center`
//   rstd  = 1 / sqrt((1/W) sum (x - mean)^2 + eps)
//   scale = weight, or 1 + weight with `residual_weight`
//   y     = (x - mean) * rstd * scale
//
// The 2024 family stores the deviation of its weights from 1: `residual_weight`.
//
// Sums along a row use the 32 virtual lanes of kernels/cpu/lanes.h: element j of a group goes to
// lane j mod 32, lanes are folded by a fixed tree. Sources: Ba et al. 2016 (LayerNorm), Zhang &
// Sennrich 2019 (RMSNorm), Wu & He 2018 (groups).
#pragma once

#include "kernels/span.h"

namespace carousel::kernels {

struct NormShape {
  int64_t rows = 0, groups = 1, width = 0;  // a row has groups * width elements
  bool center = true;
  bool residual_weight = false;
  double epsilon = 1e-5;
};

struct NormForward {
  NormShape shape;
  Span x;       // [rows, G * W]
  Span weight;  // [G * W]
  Span y;       // [rows, G * W]
  Span stats;   // [rows, G, 2] mean and rstd, kept for backward
};

// With g = dy * scale and xhat = (x - mean) * rstd:
//
//   dx = residual + rstd * (g - mean(g) - xhat * mean(g * xhat))
//
// without mean(g) unless `center`.
struct NormBackwardInput {
  NormShape shape;
  Span x, weight, stats;
  Span dy;  // [rows, G * W]
  // [rows, G * W] or empty: the gradient that goes around the norm; may be dx itself.
  Span residual;
  Span dx;  // [rows, G * W]
};

// dweight[j] += dy[r, j] * xhat[r, j], one fma chain per element, rows from last to first.
struct NormBackwardWeight {
  NormShape shape;
  Span x, stats, dy;
  Span dweight;  // [G * W], accumulated
};

}  // namespace carousel::kernels
