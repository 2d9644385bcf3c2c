// The mLSTM cell in its two other forms, as cross-checks of the chunkwise one: step by step
// (recurrent; "xLSTM 7B", eqs 2-9) and all steps at once (parallel; Beck et al. 2024, appendix
// A.3). Written for reading: plain loops, the C++ library's exp and log, one head of one sequence,
// host memory.
//
// Both give the gradients of the chunkwise form: exact, with the stabiliser m held constant.
#pragma once

#include <cstdint>
#include <vector>

namespace carousel::kernels {

// One head. T is float or double.
template <class T>
struct MlstmHead {
  int64_t steps = 0, qk_dim = 0, v_dim = 0;
  double initial_m = 0, epsilon = 1e-6;
  std::vector<T> q, k, v;      // [S, DQK], [S, DQK], [S, DHV]
  std::vector<T> i, f;         // [S] pre-activations
  std::vector<uint8_t> reset;  // [S], or empty: none
  // The state before the first step; c empty: the start. Recurrent form only.
  std::vector<T> c, n;  // [DQK, DHV], [DQK]
  T m = 0;
};

template <class T>
struct MlstmHeadResult {
  std::vector<T> h;     // [S, DHV]
  std::vector<T> r, m;  // [S] n . qs and m, stabilised
  // After the last step. Recurrent form only.
  std::vector<T> c, n;
  T m_last = 0;
};

template <class T>
struct MlstmHeadGradient {
  std::vector<T> q, k, v, i, f;
  std::vector<T> c, n;  // of the state before the first step; recurrent form only
};

template <class T>
MlstmHeadResult<T> MlstmRecurrent(const MlstmHead<T>& head);

// dc, dn: gradient of the state after the last step, or empty: zeros.
template <class T>
MlstmHeadGradient<T> MlstmRecurrentGradient(const MlstmHead<T>& head, const std::vector<T>& dh,
                                            const std::vector<T>& dc, const std::vector<T>& dn);

template <class T>
MlstmHeadResult<T> MlstmParallel(const MlstmHead<T>& head);

template <class T>
MlstmHeadGradient<T> MlstmParallelGradient(const MlstmHead<T>& head, const std::vector<T>& dh);

}  // namespace carousel::kernels
