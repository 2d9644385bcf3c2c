// Golden tensors are sequence-major ([B, S, ...], cells [B, H, S, D]), ours time-major
// ([S, B, H * D]); the papers' sLSTM weights come in a layout of their backend. All of that is
// permuting axes.
#pragma once

#include "tests/golden/golden_file.h"

namespace carousel::golden {

// Axis a of the result is axis order[a] of `values`, which has `shape`.
Values Permute(const Values& values, const Shape& shape, const std::vector<int>& order);

// [B, S, D] <-> [S, B, D]
inline Values TimeMajor(const Values& x, int64_t batch, int64_t steps) {
  return Permute(x, {batch, steps, static_cast<int64_t>(x.size()) / (batch * steps)}, {1, 0, 2});
}
inline Values SequenceMajor(const Values& x, int64_t batch, int64_t steps) {
  return Permute(x, {steps, batch, static_cast<int64_t>(x.size()) / (batch * steps)}, {1, 0, 2});
}

// [B, H, S, D] <-> [S, B, H, D]; D = 1 for gates.
inline Values RowsOfHeads(const Values& x, int64_t batch, int64_t heads, int64_t steps) {
  const int64_t width = static_cast<int64_t>(x.size()) / (batch * heads * steps);
  return Permute(x, {batch, heads, steps, width}, {2, 0, 1, 3});
}
inline Values HeadsOfRows(const Values& x, int64_t batch, int64_t heads, int64_t steps) {
  const int64_t width = static_cast<int64_t>(x.size()) / (batch * heads * steps);
  return Permute(x, {steps, batch, heads, width}, {1, 2, 0, 3});
}

// The sLSTM's recurrent weights: the authors' vanilla backend [NH, 4, DH_out, DH_in] <->
// independent of a backend [NH, DH_in, 4, DH_out].
inline Values IndependentKernel(const Values& r, int64_t heads, int64_t head_dim) {
  return Permute(r, {heads, 4, head_dim, head_dim}, {0, 3, 1, 2});
}
inline Values VanillaKernel(const Values& r, int64_t heads, int64_t head_dim) {
  return Permute(r, {heads, head_dim, 4, head_dim}, {0, 2, 3, 1});
}
// Its bias: [4, NH, DH] <-> [NH, 4, DH].
inline Values IndependentBias(const Values& b, int64_t heads, int64_t head_dim) {
  return Permute(b, {4, heads, head_dim}, {1, 0, 2});
}
inline Values VanillaBias(const Values& b, int64_t heads, int64_t head_dim) {
  return Permute(b, {heads, 4, head_dim}, {1, 0, 2});
}

}  // namespace carousel::golden
