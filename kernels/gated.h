// Products with a gate: the feed-forward's gated units and the two ways an mLSTM's output is gated.
// All element-wise; silu(x) = x sigmoid(x), gelu is the exact one (erf).
#pragma once

#include "kernels/span.h"

namespace carousel::kernels {

enum class GateKind { kSilu, kGelu };

// y = act(gate) * up: SwiGLU (xlstm_large) and gated GELU (after an sLSTM). Operands may be column
// slices of one projection.
struct GatedUnitForward {
  GateKind kind = GateKind::kSilu;
  Matrix gate, up, y;  // [rows, width]
  int64_t rows = 0, width = 0;
};

//   dgate = dy * up * act'(gate)
//   dup   = dy * act(gate)
// dgate and dup may be gate and up.
struct GatedUnitBackward {
  GateKind kind = GateKind::kSilu;
  Matrix gate, up, dy, dgate, dup;
  int64_t rows = 0, width = 0;
};

// y = sigmoid(o) * h: the output gate of xlstm_large.
struct OutputGateForward {
  Span o, h, y;  // [n]
};

//   do = dy * h * sigmoid(o) (1 - sigmoid(o))
//   dh = dy * sigmoid(o)
// Outputs may be inputs.
struct OutputGateBackward {
  Span o, h, dy, d_o, dh;
};

// y = (h + skip * c) * silu(z): learnable skip and output gate of the 2024 mLSTM block; skip is
// [width].
struct SkipGateForward {
  Matrix h, c, z;
  Span skip;
  Matrix y;
  int64_t rows = 0, width = 0;
};

//   dh      = dy * silu(z)
//   dc (+)= skip * dh
//   dz      = dy * (h + skip * c) * silu'(z)
struct SkipGateBackwardInput {
  Matrix h, c, z;
  Span skip;
  Matrix dy;
  Matrix dh;  // also what the skip's gradient is summed from
  Matrix dc;
  Matrix dz;
  bool accumulate_dc = false;
  int64_t rows = 0, width = 0;
};

// dskip[j] += sum_r dh[r, j] c[r, j], rows from last to first.
struct SkipGateBackwardWeight {
  Matrix dh, c;
  Span dskip;
  int64_t rows = 0, width = 0;
};

}  // namespace carousel::kernels
