// The mLSTM cell: matrix memory with exponential gating, in chunkwise form (Beck et al. 2024,
// section 2.3; "xLSTM 7B", eqs 2-9). kernels/mlstm_forms.h has the two other forms.
//
// Per head, with lf = log sigmoid(f) and qs = q / sqrt(DQK):
//   m_t = max(lf_t + m_{t-1}, i_t)
//   C_t = exp(lf_t + m_{t-1} - m_t) C_{t-1} + exp(i_t - m_t) k_t v_t^T          C is [DQK, DHV]
//   n_t = exp(lf_t + m_{t-1} - m_t) n_{t-1} + exp(i_t - m_t) k_t
//   r_t = n_t . qs_t
//   h_t = C_t^T qs_t / (max(|r_t|, exp(-m_t)) + eps)
//
// Start: C = n = 0 and m = `initial_m`: -inf in the 2024 family, 0 in xlstm_large. A row whose
// reset flag is set starts so, by selection inside the chunk: no bit of it or after it depends on
// what came before. Where exp(-m) is infinite in float (m < -88), h is 0, and so are its gradients.
//
// In chunks of L steps (the last may be shorter). (C, n, m) is the state before the chunk, sums of
// lf restart at a reset, j runs over the rows of i's document in the chunk, and every weight is at
// most 1 but for the rounding of m:
//   b_i     = lf_s + ... + lf_i, s the first row of the document in the chunk; in double
//   m_i     = b_i + max(m, max over j <= i of (i_j - b_j)), rounded, and used as rounded
//   D_ij    = exp((i_j - b_j) - (m_i - b_i)) for j <= i
//   carry_i = exp(m - (m_i - b_i))
//   S_ij    = (qs_i . k_j) D_ij
//   num_i   = carry_i C^T qs_i + sum over j of S_ij v_j
//   r_i     = carry_i n . qs_i + sum over j of S_ij
//   keep_j  = D_lj, l the last row
//   C'      = carry_l C + sum over j of keep_j k_j v_j^T
//   n'      = carry_l n + sum over j of keep_j k_j
// After a reset in the chunk, carry is not formed and m is `initial_m`; only the last document's
// rows enter the state after the chunk.
//
// Gradients are exact with m held constant: the normaliser is differentiated, |r| wins a tie
// against exp(-m), and so di = k . dk (v . dv would be wrong). With den_i = max(...) + eps, the
// denominator of h_i:
//   g_i     = dh_i / den_i
//   dr_i    = -sign(r_i) (dh_i . h_i) / den_i where |r_i| rules, else 0
//   dS_ij   = (g_i . v_j + dr_i) D_ij
//   dqs_i   = carry_i (n dr_i + C g_i) + sum over j of dS_ij k_j
//   dk_j    = keep_j (dn' + dC' v_j) + sum over i of dS_ij qs_i
//   dv_j    = keep_j dC'^T k_j + sum over i of S_ij g_i
//   dC      = carry_l dC' + sum over i of carry_i qs_i g_i^T
//   dn      = carry_l dn' + sum over i of carry_i qs_i dr_i
//   dlf_t   = <dC', C'> + <dn', n'> + sum over rows from the last to t of (qs . dqs - k . dk)
// The sum of dlf restarts at every chunk border, and from 0 at the last row before a reset; the f
// of a reset row has gradient 0, and so has that of the first row where no state is given. (dC, dn)
// is all that crosses a segment border backwards.
//
// Order of sums, part of the contract with L: every element of a product is one chain of fma, in
// the order written above and ascending within a sum. The share of the state stands first (weighted
// after its chain in dqs, dk, dv; in its operand qs elsewhere), the rows of the chunk follow. A sum
// over j <= i runs on to the end of i's block of 16 rows of its document, one over i >= j starts at
// that of j, over zeros. qs is rounded; n and r add S_ij and keep_j k_j plainly. Dot products of a
// row and <dC', C'> (rows of C ascending, then n; in double) use 32 virtual lanes, element e to
// lane e mod 32, folded by halves; the sum of dlf is one in double. So no bit depends on segments
// (cut at chunk borders), threads or instruction sets.
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

// What both directions work on. All f32 or all f64; gates are finite.
struct MlstmOperands {
  MlstmShape shape;
  Matrix q, k;    // [S * B, NH * DQK]
  Matrix v;       // [S * B, NH * DHV]
  Span i, f;      // [S * B, NH] pre-activations (after a soft-cap, if any)
  Span reset;     // u8 [S, B], or empty: no row is reset
  MlstmState in;  // or empty: the start
  // Written by forward, read by backward.
  Span h;     // [S * B, NH * DHV]
  Span r, m;  // [S * B, NH] n . qs and m, stabilised
};

struct MlstmForward : MlstmOperands {
  MlstmState out;  // or empty; may be `in`
};

// Overwrites the gradients. States are not kept: those before every chunk are computed anew from
// `in`, into scratch memory of S / L + 1 states a thread.
struct MlstmBackward : MlstmOperands {
  Span dh;          // [S * B, NH * DHV]
  MlstmState dout;  // (dC, dn) from the later segment, or empty: zeros
  Matrix dq, dk;    // [S * B, NH * DQK]
  Matrix dv;        // [S * B, NH * DHV]
  Span di, df;      // [S * B, NH]
  MlstmState din;   // (dC, dn) for the earlier segment, or empty; zeros where no state was given
};

}  // namespace carousel::kernels
