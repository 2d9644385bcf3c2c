// The sLSTM cell: exponential gating with memory mixing inside heads (Beck et al. 2024, section 2.2
// and appendix A, eqs 34-51).
//
// Per unit; R is block-diagonal, one [DH x 4 DH] block a head:
//   raw = (x_t + b) + R h_{t-1}             chain: starts at x + b, units of h ascending
//   l   = m_{t-1} + log sigmoid(raw_f)
//   m_t = raw_i where n_{t-1} == 0, else max(raw_i, l)                 (tested per element)
//   i   = min(exp(raw_i - m_t), 1)
//   f   = min(exp(l - m_t), 1)
//   z   = tanh(raw_z)
//   o   = sigmoid(raw_o)
//   c_t = f c_{t-1} + i z
//   n_t = f n_{t-1} + i
//   h_t = o c_t / n_t
// A row whose reset flag is set starts from h = c = n = m = 0, by selection.
//
// The stabiliser m is held constant in backward: h does not depend on it (eqs 52-58), so only (dh,
// dc, dn) cross a segment border.
#pragma once

#include "kernels/span.h"

namespace carousel::kernels {

// The gates' order wherever four stand side by side.
enum SlstmGate : int64_t { kGateI, kGateF, kGateZ, kGateO, kGates };

struct SlstmShape {
  int64_t steps = 0, batch = 0, heads = 0, head_dim = 0;  // D = heads * head_dim
};

// What is carried from segment to segment; each [B, D]. Backward carries dh, dc, dn and leaves m
// empty.
struct SlstmState {
  Span h, c, n, m;
  bool empty() const { return h.empty(); }
};

struct SlstmForward {
  SlstmShape shape;
  Span x;         // [S, B, 4, D] inputs of the gates
  Span r;         // [NH, DH_in, 4, DH_out]
  Span b;         // [NH, 4, DH_out]
  Span reset;     // u8 [S, B], or empty: no row is reset
  SlstmState in;  // or empty: zeros
  Span h;         // [S, B, D]
  Span gates;     // [S, B, 4, D] i, f, z, o after activation, kept for backward; may be x
  Span keep;      // [S, B, D] 1 - sigmoid(raw_f), kept for backward
  Span c, n;      // [S, B, D] kept for backward
  // [S, B, D] h_{t-1} as the step saw it (0 after a reset), kept for the gradient of R.
  Span h_before;
  SlstmState out;  // or empty
};

// dh = dy + R^T draw_{t+1}, the latter one chain over gates i, f, z, o, then units, that starts at
// +0 (and so is the same whether it comes from this segment or as dout.dh from the later one), and
// with it
//   dc += dh o / n
//   dn -= dh h / n
//   draw_i = i (z dc + dn)
//   draw_f = f (dc c_{t-1} + dn n_{t-1}) (1 - sigmoid(raw_f))
//   draw_z = dc i (1 - z^2)
//   draw_o = (1 - o) h dh
//   dc_{t-1} = f dc
//   dn_{t-1} = f dn
// Nothing flows back across a reset.
struct SlstmBackwardInput {
  SlstmShape shape;
  Span r, reset;
  SlstmState in;              // as forward saw it; c, n are read
  Span h, gates, keep, c, n;  // as forward left them
  Span dy;                    // [S, B, D]
  SlstmState dout;            // (dh, dc, dn) from the later segment, or empty: zeros
  Span draw;                  // [S, B, 4, D]; may be gates
  // (dh, dc, dn) for the earlier segment, or empty. dh holds R^T draw of row 0.
  SlstmState din;
};

// Sums over rows from the last to the first:
//
//   dr[g, k, gate, u] += h_before[row, g, k] draw[row, gate, g, u]
//   db[g, gate, u]    += draw[row, gate, g, u]
struct SlstmBackwardWeight {
  SlstmShape shape;
  Span h_before, draw;
  Span dr, db;  // accumulated
};

}  // namespace carousel::kernels
