// The mLSTM cell: matrix memory with exponential gating, in chunkwise form (Beck et al. 2024,
// section 2.3; "xLSTM 7B", eqs 2-9).
//
// Per head, with lf = log sigmoid(f) and qs = q / sqrt(DQK):
//   m_t = max(lf_t + m_{t-1}, i_t)
//   C_t = exp(lf_t + m_{t-1} - m_t) C_{t-1} + exp(i_t - m_t) k_t v_t^T          C is [DQK, DHV]
//   n_t = exp(lf_t + m_{t-1} - m_t) n_{t-1} + exp(i_t - m_t) k_t
//   h_t = C_t^T qs_t / (max(|n_t . qs_t|, exp(-m_t)) + eps)
// computed in chunks of L steps: inside a chunk through the L x L matrix of decays, between chunks
// through (C, n, m). The chunk length is part of the contract, as is the order of every sum: a
// matmul chain of the inter-chunk term goes on through the intra-chunk terms. Segments begin at
// chunk borders.
//
// Start: C = n = 0 and m = `initial_m`: -inf in the 2024 family, 0 in xlstm_large. A row whose
// reset flag is set starts so, by selection inside the chunk: no bit of it or after it depends on
// what came before.
//
// Gradients are exact with m held constant: the normaliser is differentiated, |n . qs| wins a tie
// against exp(-m), and so di = k . dk (v . dv would be wrong). The gradient of lf is a reverse
// running sum of q . dq - k . dk that restarts at every chunk border from <dC, C> + <dn, n> (a
// fixed-lane double sum; dC, dn after the later chunk's contribution), and at 0 at a reset; the f
// of a reset row has gradient 0. (dC, dn) is all that crosses a segment border backwards.
#pragma once

#include "kernels/span.h"

namespace carousel::kernels {

struct MlstmShape {
  int64_t steps = 0, batch = 0, heads = 0, qk_dim = 0, v_dim = 0;  // DQK, DHV per head
  int64_t chunk = 64;
  double initial_m = 0;
  double epsilon = 1e-6;
};

// Carried from segment to segment. Backward carries dC, dn and leaves m empty.
struct MlstmState {
  Span c;  // [B, NH, DQK, DHV]
  Span n;  // [B, NH, DQK]
  Span m;  // [B, NH]
  bool empty() const { return c.empty(); }
};

// q, k: [S * B, NH * DQK], v, h: [S * B, NH * DHV], i, f: [S * B, NH] pre-activations (after a
// soft-cap, if any).
struct MlstmForward {
  MlstmShape shape;
  Matrix q, k, v;
  Span i, f;
  Span reset;     // u8 [S, B]
  MlstmState in;  // or empty: the start
  Span h;
  Span r;          // [S * B, NH] n . qs, stabilised, kept for backward
  Span m;          // [S * B, NH] kept for backward
  MlstmState out;  // or empty
};

struct MlstmBackward {
  MlstmShape shape;
  Matrix q, k, v;
  Span i, f, reset;
  MlstmState in;    // as forward saw it
  Span h, r, m;     // as forward left them
  Span dh;          // [S * B, NH * DHV]
  MlstmState dout;  // (dC, dn) from the later segment, or empty: zeros
  Matrix dq, dk, dv;
  Span di, df;     // [S * B, NH]
  MlstmState din;  // (dC, dn) for the earlier segment, or empty
};

}  // namespace carousel::kernels
