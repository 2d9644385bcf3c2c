// A case for the tests of the mLSTM: the operands of both passes, and one call that runs them on a
// path of the CPU backend, cut into segments as wished.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/cpu/paths.h"
#include "kernels/mlstm.h"
#include "kernels/mlstm_forms.h"

namespace carousel::kernels {

// The same numbers on every machine, in [-1, 1).
class Numbers {
 public:
  explicit Numbers(uint64_t seed) : state_(seed) {}

  double Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-52 - 1;
  }

  template <class T>
  std::vector<T> Vector(int64_t size, double scale, double mean = 0) {
    std::vector<T> values(size);
    for (T& value : values) value = static_cast<T>(static_cast<float>(mean + scale * Next()));
    return values;
  }

 private:
  uint64_t state_;
};

template <class T>
struct MlstmCase {
  MlstmShape shape;
  std::vector<T> q, k, v, i, f, dh;
  std::vector<uint8_t> reset;
  std::vector<T> c, n, m;  // the state before, or empty
  std::vector<T> dc, dn;   // the gradient of the state after, or empty
};

template <class T>
struct MlstmOutcome {
  std::vector<T> h, r, m, c_last, n_last, m_last;
  std::vector<T> dq, dk, dv, di, df, dc, dn;

  // Name and values of everything, for comparisons.
  std::vector<std::pair<std::string, const std::vector<T>*>> All() const {
    return {{"h", &h},           {"r", &r},   {"m", &m},   {"C_last", &c_last}, {"n_last", &n_last},
            {"m_last", &m_last}, {"dq", &dq}, {"dk", &dk}, {"dv", &dv},         {"di", &di},
            {"df", &df},         {"dC", &dc}, {"dn", &dn}};
  }
};

inline MlstmShape Shape(int64_t steps, int64_t batch, int64_t heads, int64_t qk_dim, int64_t v_dim,
                        int64_t chunk) {
  MlstmShape shape;
  shape.steps = steps, shape.batch = batch, shape.heads = heads;
  shape.qk_dim = qk_dim, shape.v_dim = v_dim, shape.chunk = chunk;
  return shape;
}

// Gates as in training: i around `i_mean`, f around 2. With a state before and a gradient after.
template <class T>
MlstmCase<T> RandomCase(const MlstmShape& shape, uint64_t seed, double i_mean = 0) {
  Numbers numbers(seed);
  const int64_t rows = shape.steps * shape.batch, heads = shape.heads;
  const int64_t count = shape.batch * heads;
  MlstmCase<T> x;
  x.shape = shape;
  x.q = numbers.Vector<T>(rows * heads * shape.qk_dim, 2);
  x.k = numbers.Vector<T>(rows * heads * shape.qk_dim, 2);
  x.v = numbers.Vector<T>(rows * heads * shape.v_dim, 2);
  x.i = numbers.Vector<T>(rows * heads, 2, i_mean);
  x.f = numbers.Vector<T>(rows * heads, 3, 2);
  x.dh = numbers.Vector<T>(rows * heads * shape.v_dim, 1);
  x.reset.assign(rows, 0);
  x.c = numbers.Vector<T>(count * shape.qk_dim * shape.v_dim, 1);
  x.n = numbers.Vector<T>(count * shape.qk_dim, 1);
  x.m = numbers.Vector<T>(count, 1);
  x.dc = numbers.Vector<T>(count * shape.qk_dim * shape.v_dim, 0.5);
  x.dn = numbers.Vector<T>(count * shape.qk_dim, 0.5);
  return x;
}

template <class T>
void RemoveStates(MlstmCase<T>& x) {
  x.c.clear(), x.n.clear(), x.m.clear(), x.dc.clear(), x.dn.clear();
}

namespace internal {

template <class T>
Span Of(const std::vector<T>& values) {
  return values.empty()
             ? Span()
             : Span::Of(const_cast<T*>(values.data()), static_cast<int64_t>(values.size()));
}

// The part of [S * B, ...] that belongs to a segment.
template <class T>
Span Rows(const std::vector<T>& values, const MlstmShape& whole, int64_t first, int64_t steps) {
  const int64_t step = static_cast<int64_t>(values.size()) / whole.steps;
  return Of(values).Slice(first * step, steps * step);
}

}  // namespace internal

// Forward over all segments, then backward from the last to the first. `segments` holds their
// lengths in steps; all but the last are multiples of the chunk.
template <class T>
MlstmOutcome<T> RunMlstm(const MlstmCase<T>& x, Isa isa, int threads,
                         std::vector<int64_t> segments = {}) {
  using internal::Of;
  if (segments.empty()) segments = {x.shape.steps};
  const MlstmShape& s = x.shape;
  const int64_t rows = s.steps * s.batch, heads = s.heads, count = s.batch * heads;
  const int64_t c_size = count * s.qk_dim * s.v_dim, n_size = count * s.qk_dim;
  Context context(threads);
  MlstmOutcome<T> y;
  y.h.resize(rows * heads * s.v_dim), y.r.resize(rows * heads), y.m.resize(rows * heads);
  y.dq.resize(x.q.size()), y.dk.resize(x.k.size()), y.dv.resize(x.v.size());
  y.di.resize(rows * heads), y.df.resize(rows * heads);

  // states[p] is before segment p, dstates[p] its gradient.
  struct State {
    std::vector<T> c, n, m;
    MlstmState spans() const { return {Of(c), Of(n), Of(m)}; }
  };
  std::vector<State> states(segments.size() + 1), dstates(segments.size() + 1);
  states[0] = {x.c, x.n, x.m};
  dstates.back() = {x.dc, x.dn, {}};
  for (size_t p = 1; p < states.size(); ++p) {
    states[p] = {std::vector<T>(c_size), std::vector<T>(n_size), std::vector<T>(count)};
    dstates[p - 1] = {std::vector<T>(c_size), std::vector<T>(n_size), {}};
  }

  std::vector<MlstmForward> forwards;
  int64_t first = 0;
  for (size_t p = 0; p < segments.size(); ++p) {
    const auto part = [&](const std::vector<T>& values) {
      return internal::Rows(values, s, first, segments[p]);
    };
    MlstmForward op;
    op.shape = s;
    op.shape.steps = segments[p];
    op.q = {part(x.q), heads * s.qk_dim}, op.k = {part(x.k), heads * s.qk_dim};
    op.v = {part(x.v), heads * s.v_dim};
    op.i = part(x.i), op.f = part(x.f);
    op.reset = x.reset.empty() ? Span() : internal::Rows(x.reset, s, first, segments[p]);
    op.in = states[p].spans(), op.out = states[p + 1].spans();
    op.h = part(y.h), op.r = part(y.r), op.m = part(y.m);
    RunOn(isa, context, op);
    forwards.push_back(op);
    first += segments[p];
  }
  for (size_t p = segments.size(); p-- > 0;) {
    first -= segments[p];
    const auto part = [&](const std::vector<T>& values) {
      return internal::Rows(values, s, first, segments[p]);
    };
    const MlstmForward& forward = forwards[p];
    MlstmBackward op;
    op.shape = forward.shape;
    op.q = forward.q, op.k = forward.k, op.v = forward.v, op.i = forward.i, op.f = forward.f;
    op.reset = forward.reset, op.in = forward.in;
    op.h = forward.h, op.r = forward.r, op.m = forward.m;
    op.dh = part(x.dh), op.dout = dstates[p + 1].spans(), op.din = dstates[p].spans();
    op.dq = {part(y.dq), heads * s.qk_dim}, op.dk = {part(y.dk), heads * s.qk_dim};
    op.dv = {part(y.dv), heads * s.v_dim};
    op.di = part(y.di), op.df = part(y.df);
    RunOn(isa, context, op);
  }
  y.c_last = states.back().c, y.n_last = states.back().n, y.m_last = states.back().m;
  y.dc = dstates[0].c, y.dn = dstates[0].n;
  return y;
}

// One head of one sequence, for the other forms.
template <class T>
MlstmHead<T> HeadOf(const MlstmCase<T>& x, int64_t sequence, int64_t head) {
  const MlstmShape& s = x.shape;
  const auto rows = [&](const std::vector<T>& values, int64_t width) {
    std::vector<T> picked;
    for (int64_t t = 0; t < s.steps; ++t) {
      const auto first = values.begin() + ((t * s.batch + sequence) * s.heads + head) * width;
      picked.insert(picked.end(), first, first + width);
    }
    return picked;
  };
  const auto state = [&](const std::vector<T>& values, int64_t width) {
    if (values.empty()) return std::vector<T>();
    const auto first = values.begin() + (sequence * s.heads + head) * width;
    return std::vector<T>(first, first + width);
  };
  MlstmHead<T> y;
  y.steps = s.steps, y.qk_dim = s.qk_dim, y.v_dim = s.v_dim;
  y.initial_m = s.initial_m, y.epsilon = s.epsilon;
  y.q = rows(x.q, s.qk_dim), y.k = rows(x.k, s.qk_dim), y.v = rows(x.v, s.v_dim);
  y.i = rows(x.i, 1), y.f = rows(x.f, 1);
  for (int64_t t = 0; t < s.steps && !x.reset.empty(); ++t) {
    y.reset.push_back(x.reset[t * s.batch + sequence]);
  }
  y.c = state(x.c, s.qk_dim * s.v_dim), y.n = state(x.n, s.qk_dim);
  if (!x.m.empty()) y.m = x.m[sequence * s.heads + head];
  return y;
}

}  // namespace carousel::kernels
