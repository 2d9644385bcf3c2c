// A case for the tests of the mLSTM: the operands of both passes, and one call that runs them on a
// path of the CPU backend, cut into segments as wished.
#pragma once

#include <cstdint>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cpu/paths.h"
#include "kernels/mlstm.h"
#include "kernels/mlstm_forms.h"
#include "tests/kernels/values.h"

namespace carousel::kernels {

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

template <class T>
testing::AssertionResult SameBits(const MlstmOutcome<T>& actual, const MlstmOutcome<T>& expected) {
  return SameBitsOfAll(actual.All(), expected.All());
}

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
  auto values = [part = 16 * seed](int64_t size, double scale, double mean = 0) mutable {
    return Values<T>(size, ++part, scale, mean);
  };
  const int64_t rows = shape.steps * shape.batch, heads = shape.heads;
  const int64_t count = shape.batch * heads;
  MlstmCase<T> x;
  x.shape = shape;
  x.q = values(rows * heads * shape.qk_dim, 2);
  x.k = values(rows * heads * shape.qk_dim, 2);
  x.v = values(rows * heads * shape.v_dim, 2);
  x.i = values(rows * heads, 2, i_mean);
  x.f = values(rows * heads, 3, 2);
  x.dh = values(rows * heads * shape.v_dim, 1);
  x.reset.assign(rows, 0);
  x.c = values(count * shape.qk_dim * shape.v_dim, 1);
  x.n = values(count * shape.qk_dim, 1);
  x.m = values(count, 1);
  x.dc = values(count * shape.qk_dim * shape.v_dim, 0.5);
  x.dn = values(count * shape.qk_dim, 0.5);
  return x;
}

template <class T>
void RemoveStates(MlstmCase<T>& x) {
  x.c.clear(), x.n.clear(), x.m.clear(), x.dc.clear(), x.dn.clear();
}

// Documents of random lengths: about one in `every` rows starts one.
template <class T>
void ScatterResets(MlstmCase<T>& x, uint64_t seed, double every) {
  const std::vector<double> chance = Values<double>(x.shape.steps * x.shape.batch, seed, 0.5, 0.5);
  for (size_t row = 0; row < x.reset.size(); ++row) x.reset[row] = chance[row] * every < 1;
}

// Forward over all segments, then backward from the last to the first. `segments` holds their
// lengths in steps; all but the last are multiples of the chunk.
template <class T>
class MlstmRun {
 public:
  MlstmRun(const MlstmCase<T>& x, Isa isa, int threads, const std::vector<int64_t>& segments)
      : x_(x), isa_(isa), context_(threads), segments_(segments) {
    const MlstmShape& s = x.shape;
    const int64_t gates = s.steps * s.batch * s.heads;
    y_.h.resize(gates * s.v_dim), y_.r.resize(gates), y_.m.resize(gates);
    y_.dq.resize(x.q.size()), y_.dk.resize(x.k.size()), y_.dv.resize(x.v.size());
    y_.di.resize(gates), y_.df.resize(gates);
    const int64_t m = s.batch * s.heads, n = m * s.qk_dim, c = n * s.v_dim;
    states_.assign(segments.size() + 1, {std::vector<T>(c), std::vector<T>(n), std::vector<T>(m)});
    gradients_.assign(segments.size() + 1, {std::vector<T>(c), std::vector<T>(n), {}});
    states_.front() = {x.c, x.n, x.m};
    gradients_.back() = {x.dc, x.dn, {}};
  }

  MlstmOutcome<T> Run() {
    for (size_t p = 0; p < segments_.size(); ++p) Forward(p);
    for (size_t p = segments_.size(); p-- > 0;) Backward(p);
    y_.c_last = states_.back().c, y_.n_last = states_.back().n, y_.m_last = states_.back().m;
    y_.dc = gradients_.front().c, y_.dn = gradients_.front().n;
    return y_;
  }

 private:
  struct State {
    std::vector<T> c, n, m;
    MlstmState View() const { return {SpanOf(c), SpanOf(n), SpanOf(m)}; }
  };

  // The rows of segment p.
  template <class U>
  Span Rows(const std::vector<U>& values, size_t p) const {
    if (values.empty()) return Span();
    const int64_t step = static_cast<int64_t>(values.size()) / x_.shape.steps;
    const int64_t first =
        std::accumulate(segments_.begin(), segments_.begin() + static_cast<int64_t>(p), int64_t{0});
    return SpanOf(values).Slice(first * step, segments_[p] * step);
  }
  Matrix Keys(const std::vector<T>& values, size_t p) const {
    return {Rows(values, p), x_.shape.heads * x_.shape.qk_dim};
  }
  Matrix Heads(const std::vector<T>& values, size_t p) const {
    return {Rows(values, p), x_.shape.heads * x_.shape.v_dim};
  }

  MlstmOperands Operands(size_t p) {
    MlstmOperands op;
    op.shape = x_.shape;
    op.shape.steps = segments_[p];
    op.q = Keys(x_.q, p), op.k = Keys(x_.k, p), op.v = Heads(x_.v, p);
    op.i = Rows(x_.i, p), op.f = Rows(x_.f, p), op.reset = Rows(x_.reset, p);
    op.in = states_[p].View();
    op.h = Rows(y_.h, p), op.r = Rows(y_.r, p), op.m = Rows(y_.m, p);
    return op;
  }

  void Forward(size_t p) {
    RunOn(isa_, context_, MlstmForward{Operands(p), states_[p + 1].View()});
  }

  void Backward(size_t p) {
    MlstmBackward op{Operands(p)};
    op.dh = Rows(x_.dh, p);
    op.dout = gradients_[p + 1].View(), op.din = gradients_[p].View();
    op.dq = Keys(y_.dq, p), op.dk = Keys(y_.dk, p), op.dv = Heads(y_.dv, p);
    op.di = Rows(y_.di, p), op.df = Rows(y_.df, p);
    RunOn(isa_, context_, op);
  }

  const MlstmCase<T>& x_;
  const Isa isa_;
  Context context_;
  const std::vector<int64_t> segments_;
  MlstmOutcome<T> y_;
  std::vector<State> states_, gradients_;  // at segment borders; a gradient has no m
};

template <class T>
MlstmOutcome<T> RunMlstm(const MlstmCase<T>& x, Isa isa, int threads,
                         const std::vector<int64_t>& segments = {}) {
  return MlstmRun<T>(x, isa, threads, segments.empty() ? std::vector{x.shape.steps} : segments)
      .Run();
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
