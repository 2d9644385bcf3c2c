// mLSTM, forward: one task a (sequence, head).
#include "kernels/cpu/math.h"
#include "kernels/cpu/mlstm_chunk.h"
#include "kernels/cpu/run.h"
#include "kernels/cpu/typed.h"

namespace carousel::kernels::CAROUSEL_ISA {
namespace mlstm {
namespace {

using tile::Multiply;
using tile::Padded;
using tile::Start;
using tile::TransposedLeft;

template <class T>
struct ForwardScratch {
  ForwardScratch(Arena& arena, const MlstmShape& shape)
      : state(arena, shape),
        gates(arena, shape.chunk),
        chunk(arena, shape),
        carried(TakeBlock<T>(arena, shape.qk_dim, shape.chunk)),
        scores(TakeBlock<T>(arena, shape.chunk, shape.chunk)),
        numerator(TakeBlock<T>(arena, shape.chunk, shape.v_dim)),
        normaliser(arena.Take<T>(Padded<T>(shape.chunk))) {}

  State<T> state;
  Gates<T> gates;
  Chunk<T> chunk;
  Block<T> carried;    // [DQK, L] queries times the weight of the state
  Block<T> scores;     // [j, i]
  Block<T> numerator;  // [L, DHV]
  T* normaliser;       // n . qs of a piece
};

template <class T>
class ForwardHead {
 public:
  ForwardHead(const MlstmForward& op, int64_t index, ForwardScratch<T>& scratch)
      : op_(op),
        shape_(op.shape),
        index_(index),
        head_(op, index),
        h_(HeadRows<T>(op.h, op.shape, index, op.shape.v_dim)),
        r_(HeadRows<T>(op.r, op.shape, index, 1)),
        m_(HeadRows<T>(op.m, op.shape, index, 1)),
        scratch_(scratch) {}

  void Run() {
    bool has_state = !op_.in.empty();
    T before = T(shape_.initial_m);
    if (has_state) {
      LoadState(op_.in, shape_, index_, scratch_.state);
      before = op_.in.m.template As<T>()[index_];
    }
    for (int64_t first = 0; first < shape_.steps; first += shape_.chunk) {
      const int64_t rows = Min(shape_.chunk, shape_.steps - first);
      scratch_.gates.Compute(head_, shape_, first, rows, before, has_state);
      scratch_.chunk.Load(head_, shape_, first, rows);
      for (int64_t p = 0; p < scratch_.gates.piece_count; ++p) {
        const Piece& piece = scratch_.gates.pieces[p];
        WeighScores(piece, first);
        Accumulate(piece);
        StoreRows(piece, first);
      }
      Advance(scratch_.gates, scratch_.chunk, shape_, scratch_.state, scratch_.state);
      has_state = true;
      before = scratch_.gates.m[rows - 1];
    }
    if (!op_.out.empty()) {
      StoreState(scratch_.state, shape_, index_, op_.out);
      op_.out.m.template As<T>()[index_] = before;
    }
  }

 private:
  // Scores times decays, and the normaliser of the piece's rows.
  void WeighScores(const Piece& piece, int64_t first_row) {
    if (piece.takes_state) CarryQueries(piece);
    Scores(scratch_.chunk, piece, shape_.qk_dim, scratch_.scores);
    const int64_t rows = piece.rows();
    for (int64_t i = 0; i < rows && !piece.takes_state; ++i) scratch_.normaliser[i] = 0;
    for (int64_t j = 0; j < rows; ++j) {
      Prefetch(first_row + piece.first + j);
      const int64_t block = j / kTriangle * kTriangle;
      T* const row = scratch_.scores.Row(j);
      for (int64_t i = block; i < rows; i += kLanes<T>) {
        const Vec<T> weight = Exp(scratch_.gates.LogWeight(piece.first + j, piece.first + i));
        Store<T>(row + i, Load<T>(row + i) * weight);
      }
      for (int64_t i = block; i < j; ++i) row[i] = 0;
      for (int64_t i = block; i < rows; i += kLanes<T>) {
        Store<T>(scratch_.normaliser + i, Load<T>(scratch_.normaliser + i) + Load<T>(row + i));
      }
    }
  }

  // Asks for the row of h that will be written, and for the same row of the next chunk.
  void Prefetch(int64_t row) {
    h_.Prefetch(row, shape_.v_dim);
    row += shape_.chunk;
    if (row >= shape_.steps) return;
    head_.q.Prefetch(row, shape_.qk_dim);
    head_.k.Prefetch(row, shape_.qk_dim);
    head_.v.Prefetch(row, shape_.v_dim);
  }

  // The queries' share in the state before the chunk; starts the normaliser.
  void CarryQueries(const Piece& piece) {
    for (int64_t i = 0; i < piece.rows(); i += kLanes<T>) {
      const Vec<T> weight = Load<T>(scratch_.gates.carry + i);
      Vec<T> sum = {};
      for (int64_t d = 0; d < shape_.qk_dim; ++d) {
        const Vec<T> query = weight * Load<T>(scratch_.chunk.q_columns.Row(d) + i);
        Store<T>(scratch_.carried.Row(d) + i, query);
        sum = Fma(query, Splat<T>(scratch_.state.n[d]), sum);
      }
      Store<T>(scratch_.normaliser + i, sum);
    }
  }

  // The numerators: first the share of the state, then the rows of the piece.
  void Accumulate(const Piece& piece) {
    const int64_t rows = piece.rows();
    if (piece.takes_state) {
      Multiply(Start::kZero, rows, shape_.v_dim, shape_.qk_dim, TransposedLeft(scratch_.carried),
               scratch_.state.c, scratch_.numerator);
    }
    const Start start = piece.takes_state ? Start::kFromC : Start::kZero;
    for (int64_t i = 0; i < rows; i += kTriangle) {
      const int64_t count = Min(kTriangle, rows - i);
      Multiply(start, count, shape_.v_dim, i + count, TransposedLeft(scratch_.scores.At(0, i)),
               scratch_.chunk.v.At(piece.first, 0), scratch_.numerator.At(i, 0));
    }
  }

  void StoreRows(const Piece& piece, int64_t first_row) {
    for (int64_t i = 0; i < piece.rows(); ++i) {
      const int64_t t = piece.first + i, row = first_row + t;
      *r_.Row(row) = scratch_.normaliser[i];
      *m_.Row(row) = scratch_.gates.m[t];
      const Vec<T> factor = Splat<T>(
          InverseDenominator(scratch_.normaliser[i], scratch_.gates.floor[t], T(shape_.epsilon)));
      ForEachVector<T>(shape_.v_dim, [&](int64_t c, int64_t count) {
        StoreUpTo<T>(h_.Row(row) + c, Load<T>(scratch_.numerator.Row(i) + c) * factor, count);
      });
    }
  }

  const MlstmForward& op_;
  const MlstmShape& shape_;
  const int64_t index_;
  const Head<T> head_;
  const Series<T> h_, r_, m_;
  ForwardScratch<T>& scratch_;
};

}  // namespace
}  // namespace mlstm

void Run(Context& context, const MlstmForward& op) {
  mlstm::CheckOperands(op);
  KERNEL_CHECK(mlstm::HoldsState(op.out, op.shape, /*with_m=*/true));
  Typed(op.q.data.dtype(), [&](auto zero) {
    using T = decltype(zero);
    Arena measure;
    mlstm::ForwardScratch<T>(measure, op.shape);
    Parallel(context, op.shape.batch * op.shape.heads, [&](int64_t index, int thread) {
      Arena arena(context.Scratch(thread, Context::kOperation, measure.used()));
      mlstm::ForwardScratch<T> scratch(arena, op.shape);
      mlstm::ForwardHead<T>(op, index, scratch).Run();
    });
  });
}

}  // namespace carousel::kernels::CAROUSEL_ISA
