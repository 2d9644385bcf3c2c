// mLSTM, backward: one task a (sequence, head). The states before all chunks are computed anew from
// the first, then the chunks are visited from the last to the first.
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/mlstm_chunk.h"
#include "kernels/cpu/run.h"
#include "kernels/cpu/typed.h"

namespace carousel::kernels::CAROUSEL_ISA {
namespace mlstm {
namespace {

using tile::AsLeft;
using tile::Multiply;
using tile::Padded;
using tile::Start;
using tile::Transpose;
using tile::TransposedLeft;

// What is kept of one chunk after another.
template <class T>
struct BackwardScratch {
  BackwardScratch(Arena& arena, const MlstmShape& s, int64_t chunks)
      : gates(arena, s.chunk),
        chunk(arena, s),
        dstate(arena, s),
        dc_columns(TakeBlock<T>(arena, s.v_dim, s.qk_dim)),
        g(TakeBlock<T>(arena, s.chunk, s.v_dim)),
        g_columns(TakeBlock<T>(arena, s.v_dim, s.chunk + 64 / sizeof(T))),
        scores(TakeBlock<T>(arena, s.chunk, s.chunk)),
        dscores(TakeBlock<T>(arena, s.chunk, s.chunk)),
        dq_columns(TakeBlock<T>(arena, s.qk_dim, s.chunk)),
        dq(TakeBlock<T>(arena, s.chunk, s.qk_dim)),
        dk(TakeBlock<T>(arena, s.chunk, s.qk_dim)),
        dv(TakeBlock<T>(arena, s.chunk, s.v_dim)),
        dr(arena.Take<T>(s.chunk + 64)),
        dforget(arena.Take<T>(s.chunk + 64)),
        states(arena.Take<State<T>>(chunks + 1)) {
    for (int64_t c = 0; c <= chunks; ++c) {
      const State<T> state(arena, s);
      if (states != nullptr) states[c] = state;
    }
  }

  Gates<T> gates;
  Chunk<T> chunk;
  State<T> dstate;        // gradient of the state after the chunk
  Block<T> dc_columns;    // [DHV, DQK] of it
  Block<T> g, g_columns;  // [L, DHV], [DHV, L] dh / denominator, the gradient of the numerator
  Block<T> scores;        // [j, i] decayed scores
  Block<T> dscores;       // [j, i] gradient of k_j . qs_i
  Block<T> dq_columns;    // [DQK, L] scratch
  Block<T> dq, dk, dv;    // [L, DQK], [L, DQK], [L, DHV]; dq is the gradient of qs
  T* dr;                  // [L] gradient of the normaliser n . qs
  T* dforget;             // [L] gradient of log forget gates
  State<T>* states;       // before each chunk, and after the last
};

template <class T>
class BackwardHead {
 public:
  BackwardHead(const MlstmBackward& op, int64_t index, BackwardScratch<T>& scratch)
      : op_(op),
        shape_(op.shape),
        index_(index),
        head_(op, index),
        h_(HeadRows<const T>(op.h, op.shape, index, op.shape.v_dim)),
        r_(HeadRows<const T>(op.r, op.shape, index, 1)),
        m_(HeadRows<const T>(op.m, op.shape, index, 1)),
        dh_(HeadRows<const T>(op.dh, op.shape, index, op.shape.v_dim)),
        dq_(HeadRows<T>(op.dq, op.shape, index, op.shape.qk_dim)),
        dk_(HeadRows<T>(op.dk, op.shape, index, op.shape.qk_dim)),
        dv_(HeadRows<T>(op.dv, op.shape, index, op.shape.v_dim)),
        di_(HeadRows<T>(op.di, op.shape, index, 1)),
        df_(HeadRows<T>(op.df, op.shape, index, 1)),
        scratch_(scratch) {}

  void Run() {
    const int64_t chunks = (shape_.steps + shape_.chunk - 1) / shape_.chunk;
    // The state after the last chunk is read with its gradient only.
    ComputeStates(op_.dout.empty() ? chunks - 1 : chunks);
    has_dstate_ = !op_.dout.empty();
    if (has_dstate_) LoadState(op_.dout, shape_, index_, scratch_.dstate);
    for (int64_t c = chunks - 1; c >= 0; --c) VisitChunk(c);
    if (op_.din.empty()) return;
    if (!has_dstate_) ClearState(shape_, scratch_.dstate);
    StoreState(scratch_.dstate, shape_, index_, op_.din);
  }

 private:
  int64_t FirstRow(int64_t chunk) const { return chunk * shape_.chunk; }
  int64_t Rows(int64_t chunk) const { return Min(shape_.chunk, shape_.steps - FirstRow(chunk)); }

  void ComputeGates(int64_t chunk) {
    const bool has_state = chunk > 0 || !op_.in.empty();
    T before = T(shape_.initial_m);
    if (chunk > 0) {
      before = *m_.Row(FirstRow(chunk) - 1);
    } else if (has_state) {
      before = op_.in.m.template As<T>()[index_];
    }
    scratch_.gates.Compute(head_, shape_, FirstRow(chunk), Rows(chunk), before, has_state);
  }

  void ComputeStates(int64_t count) {
    if (!op_.in.empty()) LoadState(op_.in, shape_, index_, scratch_.states[0]);
    for (int64_t c = 0; c < count; ++c) {
      ComputeGates(c);
      scratch_.chunk.LoadKeysAndValues(head_, shape_, FirstRow(c), Rows(c));
      Advance(scratch_.gates, scratch_.chunk, shape_, scratch_.states[c], scratch_.states[c + 1]);
    }
  }

  void VisitChunk(int64_t chunk) {
    const State<T>& before = scratch_.states[chunk];
    ComputeGates(chunk);
    scratch_.chunk.Load(head_, shape_, FirstRow(chunk), Rows(chunk));
    LoadOutputGradient(FirstRow(chunk), Rows(chunk));
    if (has_dstate_) Transpose(shape_.qk_dim, shape_.v_dim, scratch_.dstate.c, scratch_.dc_columns);
    for (int64_t p = scratch_.gates.piece_count - 1; p >= 0; --p) {
      const Piece& piece = scratch_.gates.pieces[p];
      WeighScores(piece, FirstRow(chunk));
      QueryGradient(piece, before);
      KeyGradient(piece);
      ValueGradient(piece);
      GateGradient(piece, FirstRow(chunk), scratch_.states[chunk + 1]);
      StoreRows(piece, FirstRow(chunk));
    }
    StateGradient(scratch_.gates.pieces[0]);
  }

  // g = dh / denominator and dr, with h = numerator / (max(|r|, exp(-m)) + eps).
  void LoadOutputGradient(int64_t first_row, int64_t rows) {
    T* const inverse = scratch_.dforget;
    for (int64_t t = 0; t < rows; ++t) {
      const T value = *r_.Row(first_row + t), floor = scratch_.gates.floor[t];
      inverse[t] = InverseDenominator(value, floor, T(shape_.epsilon));
      const T slope = Magnitude(value) < floor || value == 0 ? T(0) : value > 0 ? T(1) : T(-1);
      const T product = Dot(dh_.Row(first_row + t), h_.Row(first_row + t), shape_.v_dim);
      scratch_.dr[t] = slope == 0 ? T(0) : -slope * (product * inverse[t]);
    }
    Pack(dh_, first_row, rows, shape_.v_dim, T(1), scratch_.g);
    ScaleRows(rows, shape_.v_dim, inverse, scratch_.g, scratch_.g);
    Transpose(rows, shape_.v_dim, scratch_.g, scratch_.g_columns);
  }

  // The decayed scores, and the gradient of the scores: (g_i . v_j + dr_i) * decay.
  void WeighScores(const Piece& piece, int64_t first_row) {
    const int64_t rows = piece.rows();
    Scores(scratch_.chunk, piece, shape_.qk_dim, scratch_.scores);
    for (int64_t j = 0; j < rows; j += kTriangle) {
      Multiply(Start::kZero, Min(kTriangle, rows - j), rows - j, shape_.v_dim,
               AsLeft(scratch_.chunk.v.At(piece.first + j, 0)),
               scratch_.g_columns.At(0, piece.first + j), scratch_.dscores.At(j, j));
    }
    for (int64_t j = 0; j < rows; ++j) {
      Prefetch(first_row + piece.first + j);
      const int64_t block = j / kTriangle * kTriangle;
      T *const row = scratch_.scores.Row(j), *const drow = scratch_.dscores.Row(j);
      for (int64_t i = block; i < rows; i += kLanes<T>) {
        const Vec<T> weight = Exp(scratch_.gates.LogWeight(piece.first + j, piece.first + i));
        Store<T>(row + i, Load<T>(row + i) * weight);
        Store<T>(drow + i, (Load<T>(drow + i) + Load<T>(scratch_.dr + piece.first + i)) * weight);
      }
      for (int64_t i = block; i < j; ++i) row[i] = drow[i] = 0;
    }
  }

  // Asks for the rows of the gradients that will be written, and for the same row of the chunk
  // before.
  void Prefetch(int64_t row) {
    dq_.Prefetch(row, shape_.qk_dim);
    dk_.Prefetch(row, shape_.qk_dim);
    dv_.Prefetch(row, shape_.v_dim);
    row -= shape_.chunk;
    if (row < 0) return;
    head_.q.Prefetch(row, shape_.qk_dim);
    head_.k.Prefetch(row, shape_.qk_dim);
    head_.v.Prefetch(row, shape_.v_dim);
    h_.Prefetch(row, shape_.v_dim);
    dh_.Prefetch(row, shape_.v_dim);
  }

  static Start StartOf(bool goes_on) { return goes_on ? Start::kFromC : Start::kZero; }

  // dqs_i = carry_i (n dr_i + C g_i) + sum over j <= i of dscores_ij k_j.
  void QueryGradient(const Piece& piece, const State<T>& before) {
    const int64_t rows = piece.rows(), qk_dim = shape_.qk_dim;
    if (piece.takes_state) {
      for (int64_t d = 0; d < qk_dim; ++d) {
        const Vec<T> n = Splat<T>(before.n[d]);
        for (int64_t i = 0; i < rows; i += kLanes<T>) {
          Store<T>(scratch_.dq_columns.Row(d) + i, n * Load<T>(scratch_.dr + i));
        }
      }
      Multiply(Start::kFromC, qk_dim, rows, shape_.v_dim, AsLeft(before.c), scratch_.g_columns,
               scratch_.dq_columns);
      for (int64_t d = 0; d < qk_dim; ++d) {
        for (int64_t i = 0; i < rows; i += kLanes<T>) {
          T* const at = scratch_.dq_columns.Row(d) + i;
          Store<T>(at, Load<T>(scratch_.gates.carry + i) * Load<T>(at));
        }
      }
      Transpose(qk_dim, rows, scratch_.dq_columns, scratch_.dq);
    }
    const Block<T> keys = scratch_.chunk.k.At(piece.first, 0);
    for (int64_t i = 0; i < rows; i += kTriangle) {
      const int64_t count = Min(kTriangle, rows - i);
      Multiply(StartOf(piece.takes_state), count, qk_dim, i + count,
               TransposedLeft(scratch_.dscores.At(0, i)), keys, scratch_.dq.At(i, 0));
    }
  }

  // dk_j = keep_j (dn + dC v_j) + sum over i >= j of dscores_ij qs_i.
  void KeyGradient(const Piece& piece) {
    const int64_t rows = piece.rows(), qk_dim = shape_.qk_dim;
    const bool from_state = piece.gives_state && has_dstate_;
    if (from_state) {
      for (int64_t j = 0; j < rows; ++j) {
        for (int64_t d = 0; d < qk_dim; d += kLanes<T>) {
          Store<T>(scratch_.dk.Row(j) + d, Load<T>(scratch_.dstate.n + d));
        }
      }
      Multiply(Start::kFromC, rows, qk_dim, shape_.v_dim,
               AsLeft(scratch_.chunk.v.At(piece.first, 0)), scratch_.dc_columns, scratch_.dk);
      ScaleRows(rows, qk_dim, scratch_.gates.keep + piece.first, scratch_.dk, scratch_.dk);
    }
    for (int64_t j = 0; j < rows; j += kTriangle) {
      Multiply(StartOf(from_state), Min(kTriangle, rows - j), qk_dim, rows - j,
               AsLeft(scratch_.dscores.At(j, j)), scratch_.chunk.q.At(piece.first + j, 0),
               scratch_.dk.At(j, 0));
    }
  }

  // dv_j = keep_j (k_j dC) + sum over i >= j of scores_ij g_i.
  void ValueGradient(const Piece& piece) {
    const int64_t rows = piece.rows(), v_dim = shape_.v_dim;
    const bool from_state = piece.gives_state && has_dstate_;
    if (from_state) {
      Multiply(Start::kZero, rows, v_dim, shape_.qk_dim,
               AsLeft(scratch_.chunk.k.At(piece.first, 0)), scratch_.dstate.c, scratch_.dv);
      ScaleRows(rows, v_dim, scratch_.gates.keep + piece.first, scratch_.dv, scratch_.dv);
    }
    for (int64_t j = 0; j < rows; j += kTriangle) {
      Multiply(StartOf(from_state), Min(kTriangle, rows - j), v_dim, rows - j,
               AsLeft(scratch_.scores.At(j, j)), scratch_.g.At(piece.first + j, 0),
               scratch_.dv.At(j, 0));
    }
  }

  // di = k . dk; the gradient of f is a running sum, from the last row to the first.
  void GateGradient(const Piece& piece, int64_t first_row, const State<T>& after) {
    double sum = piece.gives_state && has_dstate_ ? StateProduct(after) : 0.0;
    for (int64_t i = piece.rows() - 1; i >= 0; --i) {
      const int64_t t = piece.first + i;
      const T key_product = Dot(scratch_.chunk.k.Row(t), scratch_.dk.Row(i), shape_.qk_dim);
      const T query_product = Dot(scratch_.chunk.q.Row(t), scratch_.dq.Row(i), shape_.qk_dim);
      *di_.Row(first_row + t) = key_product;
      sum += double(query_product) - double(key_product);
      scratch_.dforget[t] = T(sum);
    }
    if (!piece.takes_state) scratch_.dforget[piece.first] = 0;
    for (int64_t t = piece.first; t < piece.last; t += kLanes<T>) {
      const Vec<T> slope = Sigmoid(-Load<T>(scratch_.gates.forget + t));
      Store<T>(scratch_.dforget + t, Load<T>(scratch_.dforget + t) * slope);
    }
    for (int64_t t = piece.first; t < piece.last; ++t)
      *df_.Row(first_row + t) = scratch_.dforget[t];
  }

  // <dC, C> + <dn, n>
  double StateProduct(const State<T>& after) {
    Lanes<double> sum;
    const auto add = [&](const T* a, const T* b, int64_t count) __attribute__((always_inline)) {
      ForEachLaneVector<double>(count, [&](int64_t part, int64_t first, int64_t n) {
        sum.AddProduct(part, LoadInDouble<T>(a + first, n), LoadInDouble<T>(b + first, n), n);
      });
    };
    for (int64_t d = 0; d < shape_.qk_dim; ++d) {
      add(scratch_.dstate.c.Row(d), after.c.Row(d), shape_.v_dim);
    }
    add(scratch_.dstate.n, after.n, shape_.qk_dim);
    return sum.Fold();
  }

  void StoreRows(const Piece& piece, int64_t first_row) {
    const T scale = T(1) / Sqrt(T(shape_.qk_dim));
    StoreBlock(dq_, shape_.qk_dim, scale, scratch_.dq, piece, first_row);
    StoreBlock(dk_, shape_.qk_dim, T(1), scratch_.dk, piece, first_row);
    StoreBlock(dv_, shape_.v_dim, T(1), scratch_.dv, piece, first_row);
  }

  void StoreBlock(Series<T> to, int64_t width, T factor, Block<T> from, const Piece& piece,
                  int64_t first_row) {
    const Vec<T> factors = Splat<T>(factor);
    for (int64_t i = 0; i < piece.rows(); ++i) {
      T* const row = to.Row(first_row + piece.first + i);
      ForEachVector<T>(width, [&](int64_t c, int64_t count) {
        StoreUpTo<T>(row + c, factors * Load<T>(from.Row(i) + c), count);
      });
    }
  }

  // dC = carry_last dC + sum over i of carry_i qs_i g_i^T, likewise dn with dr_i for g_i. Nothing
  // flows back through a reset.
  void StateGradient(const Piece& piece) {
    if (!piece.takes_state) {
      has_dstate_ = false;
      return;
    }
    const bool goes_on = has_dstate_ && piece.gives_state;
    const T carry = scratch_.gates.carry[piece.last - 1];
    ScaleRows(piece.rows(), shape_.qk_dim, scratch_.gates.carry, scratch_.chunk.q,
              scratch_.chunk.weighted);
    if (goes_on) {
      for (int64_t d = 0; d < shape_.qk_dim; ++d) {
        ScaleRows(1, shape_.v_dim, &carry, scratch_.dstate.c.At(d, 0), scratch_.dstate.c.At(d, 0));
      }
      ScaleRows(1, shape_.qk_dim, &carry, {scratch_.dstate.n, 0}, {scratch_.dstate.n, 0});
    }
    Multiply(StartOf(goes_on), shape_.qk_dim, shape_.v_dim, piece.rows(),
             TransposedLeft(scratch_.chunk.weighted), scratch_.g, scratch_.dstate.c);
    for (int64_t d = 0; d < Padded<T>(shape_.qk_dim); d += kLanes<T>) {
      Vec<T> sum = goes_on ? Load<T>(scratch_.dstate.n + d) : Vec<T>{};
      for (int64_t i = 0; i < piece.rows(); ++i) {
        sum = Fma(Splat<T>(scratch_.dr[i]), Load<T>(scratch_.chunk.weighted.Row(i) + d), sum);
      }
      Store<T>(scratch_.dstate.n + d, sum);
    }
    has_dstate_ = true;
  }

  const MlstmBackward& op_;
  const MlstmShape& shape_;
  const int64_t index_;
  const Head<T> head_;
  const Series<const T> h_, r_, m_, dh_;
  const Series<T> dq_, dk_, dv_, di_, df_;
  BackwardScratch<T>& scratch_;
  bool has_dstate_ = false;  // else the gradient of the state after the chunk is zero
};

void CheckGradients(const MlstmBackward& op) {
  const MlstmShape& s = op.shape;
  const int64_t rows = s.steps * s.batch;
  KERNEL_CHECK(Holds(op.dh, rows * s.heads * s.v_dim));
  KERNEL_CHECK(HoldsState(op.dout, s, /*with_m=*/false));
  KERNEL_CHECK(Holds(op.dq, rows, s.heads * s.qk_dim));
  KERNEL_CHECK(Holds(op.dk, rows, s.heads * s.qk_dim));
  KERNEL_CHECK(Holds(op.dv, rows, s.heads * s.v_dim));
  KERNEL_CHECK(Holds(op.di, rows * s.heads));
  KERNEL_CHECK(Holds(op.df, rows * s.heads));
  KERNEL_CHECK(HoldsState(op.din, s, /*with_m=*/false));
}

}  // namespace
}  // namespace mlstm

void Run(Context& context, const MlstmBackward& op) {
  mlstm::CheckOperands(op);
  mlstm::CheckGradients(op);
  const int64_t chunks = (op.shape.steps + op.shape.chunk - 1) / op.shape.chunk;
  Typed(op.q.data.dtype(), [&](auto zero) {
    using T = decltype(zero);
    Arena measure;
    mlstm::BackwardScratch<T>(measure, op.shape, chunks);
    Parallel(context, op.shape.batch * op.shape.heads, [&](int64_t index, int thread) {
      Arena arena(context.Scratch(thread, Context::kOperation, measure.used()));
      mlstm::BackwardScratch<T> scratch(arena, op.shape, chunks);
      mlstm::BackwardHead<T>(op, index, scratch).Run();
    });
  });
}

}  // namespace carousel::kernels::CAROUSEL_ISA
