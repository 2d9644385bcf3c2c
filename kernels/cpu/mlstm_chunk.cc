#include "kernels/cpu/mlstm_chunk.h"

#include "kernels/cpu/math.h"

namespace carousel::kernels::CAROUSEL_ISA {
namespace mlstm {
namespace {

using tile::AsLeft;
using tile::Multiply;
using tile::Padded;
using tile::Start;
using tile::TransposedLeft;

template <class T>
void SplitInTwo(double value, T& high, T& low) {
  high = T(value);
  low = T(value - double(high));
}

// Calls body(first) for every vector that [0, count) touches; arrays of gates have room for it.
template <class T, class Body>
[[gnu::always_inline]] inline void ForEachWholeVector(int64_t count, const Body& body) {
  for (int64_t first = 0; first < count; first += kLanes<T>) body(first);
}

template <class T>
void ClearBeyond(T* row, int64_t width) {
  for (int64_t column = width; column < Padded<T>(width); ++column) row[column] = 0;
}

}  // namespace

template <class T>
State<T>::State(Arena& arena, const MlstmShape& shape)
    : c(TakeBlock<T>(arena, shape.qk_dim, shape.v_dim)),
      n(arena.Take<T>(tile::Pitch<T>(shape.qk_dim))) {}

template <class T>
Chunk<T>::Chunk(Arena& arena, const MlstmShape& shape)
    : q(TakeBlock<T>(arena, shape.chunk, shape.qk_dim)),
      // Pieces read whole cache lines from any column on.
      q_columns(TakeBlock<T>(arena, shape.qk_dim, shape.chunk + 64 / sizeof(T))),
      k(TakeBlock<T>(arena, shape.chunk, shape.qk_dim)),
      v(TakeBlock<T>(arena, shape.chunk, shape.v_dim)),
      weighted(TakeBlock<T>(arena, shape.chunk, shape.qk_dim)) {}

template <class T>
void Chunk<T>::Load(const Head<T>& head, const MlstmShape& shape, int64_t first_row, int64_t rows) {
  const T scale = T(1) / Sqrt(T(shape.qk_dim));
  Pack(head.q, first_row, rows, shape.qk_dim, scale, q);
  tile::Transpose(rows, shape.qk_dim, q, q_columns);
  LoadKeysAndValues(head, shape, first_row, rows);
}

template <class T>
void Chunk<T>::LoadKeysAndValues(const Head<T>& head, const MlstmShape& shape, int64_t first_row,
                                 int64_t rows) {
  Pack(head.k, first_row, rows, shape.qk_dim, T(1), k);
  Pack(head.v, first_row, rows, shape.v_dim, T(1), v);
}

template <class T>
Gates<T>::Gates(Arena& arena, int64_t chunk) {
  const int64_t size = chunk + 64;  // whole vectors from any row on
  pieces = arena.Take<Piece>(chunk);
  forget = arena.Take<T>(size);
  source_high = arena.Take<T>(size);
  source_low = arena.Take<T>(size);
  top_high = arena.Take<T>(size);
  top_low = arena.Take<T>(size);
  m = arena.Take<T>(size);
  floor = arena.Take<T>(size);
  carry = arena.Take<T>(size);
  keep = arena.Take<T>(size);
}

template <class T>
void Gates<T>::Compute(const Head<T>& head, const MlstmShape& shape, int64_t first_row,
                       int64_t rows, T before, bool has_state) {
  const T start = T(shape.initial_m);
  T* const log_forget = keep;
  for (int64_t t = 0; t < rows; ++t) forget[t] = *head.f.Row(first_row + t);
  ForEachWholeVector<T>(rows, [&](int64_t t) {
    CAROUSEL_ISA::Store<T>(log_forget + t, LogSigmoid(CAROUSEL_ISA::Load<T>(forget + t)));
  });

  piece_count = 0;
  double sum = 0, top = 0;
  for (int64_t t = 0; t < rows; ++t) {
    const bool is_reset = head.reset.data != nullptr && *head.reset.Row(first_row + t) != 0;
    if (is_reset || t == 0) {
      const bool takes_state = !is_reset && has_state;
      if (piece_count > 0) pieces[piece_count - 1].last = t;
      pieces[piece_count++] = {t, rows, takes_state, false};
      sum = 0;
      top = takes_state ? before : start;
    }
    sum += log_forget[t];
    const double source = *head.i.Row(first_row + t) - sum;
    if (!(source <= top)) top = source;
    m[t] = T(top + sum);
    // Row t's stabiliser is m as it is stored: rounded.
    const double rounded_top = double(m[t]) - sum;
    SplitInTwo(source, source_high[t], source_low[t]);
    SplitInTwo(rounded_top, top_high[t], top_low[t]);
    carry[t] = T(double(before) - rounded_top);
  }
  pieces[piece_count - 1].gives_state = true;

  const int64_t last = rows - 1;
  for (int64_t t = 0; t < rows; ++t) {
    keep[t] = (source_high[t] - top_high[last]) + (source_low[t] - top_low[last]);
  }
  ForEachWholeVector<T>(rows, [&](int64_t t) {
    CAROUSEL_ISA::Store<T>(floor + t, Exp(-CAROUSEL_ISA::Load<T>(m + t)));
    CAROUSEL_ISA::Store<T>(carry + t, Exp(CAROUSEL_ISA::Load<T>(carry + t)));
    CAROUSEL_ISA::Store<T>(keep + t, Exp(CAROUSEL_ISA::Load<T>(keep + t)));
  });
}

template <class T>
void Pack(Series<const T> from, int64_t first_row, int64_t rows, int64_t width, T factor,
          Block<T> to) {
  const Vec<T> factors = Splat<T>(factor);
  for (int64_t t = 0; t < rows; ++t) {
    const T* source = from.Row(first_row + t);
    T* row = to.Row(t);
    ForEachVector<T>(width, [&](int64_t first, int64_t count) {
      Store<T>(row + first, factors * LoadUpTo<T>(source + first, count));
    });
    ClearBeyond(row, width);
  }
}

template <class T>
void ScaleRows(int64_t rows, int64_t width, const T* factor, Block<T> from, Block<T> to) {
  for (int64_t t = 0; t < rows; ++t) {
    const Vec<T> factors = Splat<T>(factor[t]);
    ForEachWholeVector<T>(width, [&](int64_t first) {
      Store<T>(to.Row(t) + first, factors * Load<T>(from.Row(t) + first));
    });
    ClearBeyond(to.Row(t), width);
  }
}

template <class T>
void Scores(const Chunk<T>& chunk, const Piece& piece, int64_t qk_dim, Block<T> scores) {
  const int64_t rows = piece.rows();
  for (int64_t j = 0; j < rows; j += kTriangle) {
    Multiply(Start::kZero, Min(kTriangle, rows - j), rows - j, qk_dim,
             AsLeft(chunk.k.At(piece.first + j, 0)), chunk.q_columns.At(0, piece.first + j),
             scores.At(j, j));
  }
}

template <class T>
void Advance(const Gates<T>& gates, Chunk<T>& chunk, const MlstmShape& shape,
             const State<T>& before, State<T>& after) {
  const Piece& piece = gates.last_piece();
  const int64_t qk_dim = shape.qk_dim, v_dim = shape.v_dim;
  ScaleRows(piece.rows(), qk_dim, gates.keep + piece.first, chunk.k.At(piece.first, 0),
            chunk.weighted);
  const Vec<T> carry = Splat<T>(gates.carry[piece.last - 1]);
  for (int64_t d = 0; d < qk_dim && piece.takes_state; ++d) {
    ForEachWholeVector<T>(v_dim, [&](int64_t c) {
      Store<T>(after.c.Row(d) + c, carry * Load<T>(before.c.Row(d) + c));
    });
  }
  Multiply(piece.takes_state ? Start::kFromC : Start::kZero, qk_dim, v_dim, piece.rows(),
           TransposedLeft(chunk.weighted), chunk.v.At(piece.first, 0), after.c);
  ForEachWholeVector<T>(qk_dim, [&](int64_t d) {
    Vec<T> sum = piece.takes_state ? carry * Load<T>(before.n + d) : Vec<T>{};
    for (int64_t j = 0; j < piece.rows(); ++j) sum += Load<T>(chunk.weighted.Row(j) + d);
    Store<T>(after.n + d, sum);
  });
}

template <class T>
void LoadState(const MlstmState& from, const MlstmShape& shape, int64_t index, State<T>& to) {
  const T* c = from.c.As<T>() + index * shape.qk_dim * shape.v_dim;
  Pack<T>({c, shape.v_dim}, 0, shape.qk_dim, shape.v_dim, T(1), to.c);
  Pack<T>({from.n.As<T>() + index * shape.qk_dim, 0}, 0, 1, shape.qk_dim, T(1), {to.n, 0});
}

template <class T>
void StoreState(const State<T>& from, const MlstmShape& shape, int64_t index,
                const MlstmState& to) {
  T* c = to.c.As<T>() + index * shape.qk_dim * shape.v_dim;
  for (int64_t d = 0; d < shape.qk_dim; ++d) {
    ForEachVector<T>(shape.v_dim, [&](int64_t first, int64_t count) {
      StoreUpTo<T>(c + d * shape.v_dim + first, Load<T>(from.c.Row(d) + first), count);
    });
  }
  T* n = to.n.As<T>() + index * shape.qk_dim;
  ForEachVector<T>(shape.qk_dim, [&](int64_t first, int64_t count) {
    StoreUpTo<T>(n + first, Load<T>(from.n + first), count);
  });
}

template <class T>
void ClearState(const MlstmShape& shape, State<T>& state) {
  for (int64_t d = 0; d < shape.qk_dim; ++d) {
    for (int64_t c = 0; c < Padded<T>(shape.v_dim); ++c) state.c.Row(d)[c] = 0;
  }
  for (int64_t d = 0; d < Padded<T>(shape.qk_dim); ++d) state.n[d] = 0;
}

#define CAROUSEL_INSTANTIATE(T)                                                             \
  template struct State<T>;                                                                 \
  template struct Gates<T>;                                                                 \
  template struct Chunk<T>;                                                                 \
  template void Pack(Series<const T>, int64_t, int64_t, int64_t, T, Block<T>);              \
  template void ScaleRows(int64_t, int64_t, const T*, Block<T>, Block<T>);                  \
  template void Scores(const Chunk<T>&, const Piece&, int64_t, Block<T>);                   \
  template void Advance(const Gates<T>&, Chunk<T>&, const MlstmShape&, const State<T>&,     \
                        State<T>&);                                                         \
  template void LoadState(const MlstmState&, const MlstmShape&, int64_t, State<T>&);        \
  template void StoreState(const State<T>&, const MlstmShape&, int64_t, const MlstmState&); \
  template void ClearState(const MlstmShape&, State<T>&);

CAROUSEL_INSTANTIATE(float)
CAROUSEL_INSTANTIATE(double)
#undef CAROUSEL_INSTANTIATE

}  // namespace mlstm
}  // namespace carousel::kernels::CAROUSEL_ISA
