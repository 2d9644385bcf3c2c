// What forward and backward of the mLSTM share: one head of one sequence, chunk by chunk. See
// kernels/mlstm.h for the mathematics; matrices of scores are kept transposed here, [j, i] (source
// row j, target row i), so that everything that belongs to target rows runs along vectors.
#pragma once

#include <cstdint>
#include <type_traits>

#include "kernels/cpu/math.h"
#include "kernels/cpu/mlstm_tile.h"
#include "kernels/cpu/operands.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/simd.h"
#include "kernels/mlstm.h"

namespace carousel::kernels::CAROUSEL_ISA {
namespace mlstm {

using tile::Block;

// Triangles of scores are computed in blocks of so many rows; the part of a diagonal block that
// lies above the diagonal is zero. Part of the contract: a sum that goes over it can tell +0 from
// -0.
inline constexpr int64_t kTriangle = 16;

template <class T>
[[gnu::always_inline]] inline T Magnitude(T x) {
  return x < 0 ? -x : x;
}

// 1 / (max(|r|, exp(-m)) + eps): 0 where exp(-m) is infinite.
template <class T>
[[gnu::always_inline]] inline T InverseDenominator(T r, T floor, T epsilon) {
  const T magnitude = Magnitude(r);
  return T(1) / ((magnitude < floor ? floor : magnitude) + epsilon);
}

template <class T>
Block<T> TakeBlock(Arena& arena, int64_t rows, int64_t columns) {
  const int64_t pitch = tile::Pitch<T>(columns);
  return {arena.Take<T>(rows * pitch), pitch};
}

// The rows of one head over time: row t at data + t * stride.
template <class T>
struct Series {
  T* data = nullptr;
  int64_t stride = 0;

  T* Row(int64_t t) const { return data + t * stride; }

  // Asks for a row ahead of its use. Rows lie far apart, where no hardware prefetcher finds them.
  [[gnu::always_inline]] void Prefetch(int64_t t, int64_t width) const {
    const char* row = reinterpret_cast<const char*>(Row(t));
    for (int64_t byte = 0; byte < width * int64_t{sizeof(T)}; byte += 64) {
      __builtin_prefetch(row + byte, std::is_const_v<T> ? 0 : 1, 3);
    }
  }
};

// The operands of one head of one sequence.
template <class T>
struct Head {
  Head(const MlstmOperands& op, int64_t index);

  Series<const T> q, k, v, i, f;
  Series<const uint8_t> reset;  // or no data: no row is reset
};

// The rows [first, last) of a chunk that belong to one document.
struct Piece {
  int64_t first = 0, last = 0;
  bool takes_state = false;  // goes on from the state before the chunk
  bool gives_state = false;  // leaves the state after the chunk

  int64_t rows() const { return last - first; }
};

// The state before a chunk: c [DQK, DHV], n [DQK].
template <class T>
struct State {
  State(Arena& arena, const MlstmShape& shape);

  Block<T> c;
  T* n;
};

// The gates of a chunk. With b_t the sum of log forget gates since the start of the chunk or the
// last reset, in double, and top_t = max(m before, the i_j - b_j up to t): m_t = b_t + top_t, the
// weight of source j in target i is exp((i_j - b_j) - top_i), that of the state before the chunk
// exp(m before - top_i). Differences are formed of two parts each, high and low, so that gates far
// from zero lose nothing in float.
template <class T>
struct Gates {
  Gates(Arena& arena, int64_t chunk);

  // `before`: m before the chunk; without a state it is that of a start.
  void Compute(const Head<T>& head, const MlstmShape& shape, int64_t first_row, int64_t rows,
               T before, bool has_state);

  // (i_j - b_j) - top_i for the target rows from `target` on: the logarithm of a weight.
  [[gnu::always_inline]] Vec<T> LogWeight(int64_t source, int64_t target) const {
    const Vec<T> high = Splat<T>(source_high[source]) - Load<T>(top_high + target);
    const Vec<T> low = Splat<T>(source_low[source]) - Load<T>(top_low + target);
    return high + low;
  }

  Piece* pieces;
  int64_t piece_count = 0;
  T* forget;                    // f as given
  T *source_high, *source_low;  // i_j - b_j
  T *top_high, *top_low;        // top_i
  T* m;                         // m_i
  T* floor;                     // exp(-m_i)
  T* carry;  // weight of the state before the chunk in row i of the piece that takes it
  T* keep;   // weight of row j of the last piece in the state after the chunk

  const Piece& last_piece() const { return pieces[piece_count - 1]; }
};

// The rows of a chunk, packed. Rows beyond are not touched.
template <class T>
struct Chunk {
  Chunk(Arena& arena, const MlstmShape& shape);

  void Load(const Head<T>& head, const MlstmShape& shape, int64_t first_row, int64_t rows);
  void LoadKeysAndValues(const Head<T>& head, const MlstmShape& shape, int64_t first_row,
                         int64_t rows);

  Block<T> q, q_columns;  // q / sqrt(DQK): [L, DQK], [DQK, L]
  Block<T> k, v;          // [L, DQK], [L, DHV]
  Block<T> weighted;      // [L, DQK] scratch: rows of k or q times their weight
};

// to[t, :] = factor * from row first_row + t.
template <class T>
void Pack(Series<const T> from, int64_t first_row, int64_t rows, int64_t width, T factor,
          Block<T> to);

// to[t, :] = factor[t] * from[t, :], whole cache lines.
template <class T>
void ScaleRows(int64_t rows, int64_t width, const T* factor, Block<T> from, Block<T> to);

// scores[j, i] = k_j . q_i / sqrt(DQK) of a piece, for the blocks of the triangle j <= i; indices
// count from the start of the piece.
template <class T>
void Scores(const Chunk<T>& chunk, const Piece& piece, int64_t qk_dim, Block<T> scores);

// The state after the chunk.
template <class T>
void Advance(const Gates<T>& gates, Chunk<T>& chunk, const MlstmShape& shape,
             const State<T>& before, State<T>& after);

// A state's content: from and to the operands; what lies beyond DQK and DHV becomes zero.
template <class T>
void LoadState(const MlstmState& from, const MlstmShape& shape, int64_t index, State<T>& to);
template <class T>
void StoreState(const State<T>& from, const MlstmShape& shape, int64_t index, const MlstmState& to);
template <class T>
void ClearState(const MlstmShape& shape, State<T>& state);

// --- definitions of what is generic over operations ---

// What is carried: one state a (sequence, head).
inline bool HoldsState(const MlstmState& state, const MlstmShape& s, bool with_m) {
  const int64_t heads = s.batch * s.heads;
  return state.empty() || (Holds(state.c, heads * s.qk_dim * s.v_dim) &&
                           Holds(state.n, heads * s.qk_dim) && (!with_m || Holds(state.m, heads)));
}

inline void CheckOperands(const MlstmOperands& op) {
  const MlstmShape& s = op.shape;
  KERNEL_CHECK(s.steps > 0 && s.batch > 0 && s.heads > 0 && s.qk_dim > 0 && s.v_dim > 0);
  KERNEL_CHECK(s.chunk > 0);
  const int64_t rows = s.steps * s.batch;
  KERNEL_CHECK(Holds(op.q, rows, s.heads * s.qk_dim));
  KERNEL_CHECK(Holds(op.k, rows, s.heads * s.qk_dim));
  KERNEL_CHECK(Holds(op.v, rows, s.heads * s.v_dim));
  KERNEL_CHECK(Holds(op.i, rows * s.heads));
  KERNEL_CHECK(Holds(op.f, rows * s.heads));
  KERNEL_CHECK(IsEmptyOrHolds(op.reset, rows));
  KERNEL_CHECK(HoldsState(op.in, s, /*with_m=*/true));
  KERNEL_CHECK(Holds(op.h, rows * s.heads * s.v_dim));
  KERNEL_CHECK(Holds(op.r, rows * s.heads));
  KERNEL_CHECK(Holds(op.m, rows * s.heads));
}

// Rows of a head in [S * B, ...], and in a contiguous [S * B, NH * width].
template <class T>
Series<T> HeadRows(const Matrix& matrix, const MlstmShape& s, int64_t index, int64_t width) {
  T* const data = matrix.data.template As<std::remove_const_t<T>>();
  return {data + index / s.heads * matrix.stride + index % s.heads * width,
          s.batch * matrix.stride};
}
template <class T>
Series<T> HeadRows(const Span& span, const MlstmShape& s, int64_t index, int64_t width) {
  return {span.As<std::remove_const_t<T>>() + index * width, s.batch * s.heads * width};
}

template <class T>
Head<T>::Head(const MlstmOperands& op, int64_t index)
    : q(HeadRows<const T>(op.q, op.shape, index, op.shape.qk_dim)),
      k(HeadRows<const T>(op.k, op.shape, index, op.shape.qk_dim)),
      v(HeadRows<const T>(op.v, op.shape, index, op.shape.v_dim)),
      i(HeadRows<const T>(op.i, op.shape, index, 1)),
      f(HeadRows<const T>(op.f, op.shape, index, 1)) {
  if (op.reset.empty()) return;
  reset = {op.reset.As<uint8_t>() + index / op.shape.heads, op.shape.batch};
}

}  // namespace mlstm
}  // namespace carousel::kernels::CAROUSEL_ISA
