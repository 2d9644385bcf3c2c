#include "kernels/slstm.h"

#include "kernels/cpu/math.h"
#include "kernels/cpu/run.h"
#include "kernels/cpu/split.h"
#include "kernels/cpu/typed.h"

namespace carousel::kernels::CAROUSEL_ISA {
namespace {

enum Gate { kI, kF, kZ, kO, kGates };

// One head of one sequence at one step: where its DH units lie in rows of D and of 4 D.
struct Place {
  int64_t unit;  // first unit in a [S, B, D] tensor
  int64_t gate;  // first unit of gate i in a [S, B, 4, D] tensor; the next gate lies D further
};
Place PlaceOf(const SlstmShape& s, int64_t t, int64_t b, int64_t head) {
  const int64_t row = t * s.batch + b, width = s.heads * s.head_dim;
  return {row * width + head * s.head_dim, row * kGates * width + head * s.head_dim};
}
int64_t StateOf(const SlstmShape& s, int64_t b, int64_t head) { return (b * s.heads + head) * s.head_dim; }

template <class T>
struct State {
  explicit State(const SlstmState& state) : h(state.h.As<T>()), c(state.c.As<T>()), n(state.n.As<T>()), m(state.m.As<T>()) {}
  T *h, *c, *n, *m;
};

template <class T>
void ForwardHead(Context& context, int thread, const SlstmForward& op, int64_t head) {
  const SlstmShape& s = op.shape;
  const int64_t dh = s.head_dim, width = s.heads * dh;
  const T *x = op.x.As<T>(), *r = op.r.As<T>() + head * dh * kGates * dh, *bias = op.b.As<T>() + head * kGates * dh;
  const uint8_t* reset = op.reset.As<uint8_t>();
  const State<T> in(op.in), out(op.out);
  T *h = op.h.As<T>(), *gates = op.gates.As<T>(), *keep = op.keep.As<T>(), *c = op.c.As<T>(), *n = op.n.As<T>(), *h_before = op.h_before.As<T>();
  T* raw = static_cast<T*>(context.Scratch(thread, Context::kOperation, (kGates + s.batch) * dh * sizeof(T)));
  T* m = raw + kGates * dh;  // [B, DH], the only state that rows do not keep
  for (int64_t b = 0; b < s.batch; ++b) {
    for (int64_t i = 0; i < dh; ++i) m[b * dh + i] = in.m == nullptr ? T(0) : in.m[StateOf(s, b, head) + i];
  }
  for (int64_t t = 0; t < s.steps; ++t) {
    for (int64_t b = 0; b < s.batch; ++b) {
      const Place at = PlaceOf(s, t, b, head);
      const bool fresh = reset[t * s.batch + b] != 0 || (t == 0 && in.h == nullptr);
      const int64_t before = t > 0 ? PlaceOf(s, t - 1, b, head).unit : StateOf(s, b, head);
      const T *h0 = t > 0 ? h : in.h, *c0 = t > 0 ? c : in.c, *n0 = t > 0 ? n : in.n;
      for (int64_t i = 0; i < dh; ++i) h_before[at.unit + i] = fresh ? T(0) : h0[before + i];
      for (int64_t g = 0; g < kGates; ++g) {
        ForEachVector<T>(dh, [&](int64_t i, int64_t count) {
          Vec<T> sum = LoadUpTo<T>(x + at.gate + g * width + i, count) + LoadUpTo<T>(bias + g * dh + i, count);
          for (int64_t k = 0; k < dh; ++k) sum = Fma(Splat<T>(h_before[at.unit + k]), LoadUpTo<T>(r + (k * kGates + g) * dh + i, count), sum);
          StoreUpTo<T>(raw + g * dh + i, sum, count);
        });
      }
      ForEachVector<T>(dh, [&](int64_t i, int64_t count) {
        const Vec<T> zero = Splat<T>(0), one = Splat<T>(1);
        const Vec<T> raw_i = LoadUpTo<T>(raw + kI * dh + i, count), raw_f = LoadUpTo<T>(raw + kF * dh + i, count);
        const Vec<T> c_before = fresh ? zero : LoadUpTo<T>(c0 + before + i, count), n_before = fresh ? zero : LoadUpTo<T>(n0 + before + i, count);
        const Vec<T> m_before = fresh ? zero : LoadUpTo<T>(m + b * dh + i, count);
        const Vec<T> l = m_before + LogSigmoid(raw_f);
        const Vec<T> m_now = n_before == zero ? raw_i : Max(raw_i, l);
        const Vec<T> ig = Min(Exp(raw_i - m_now), one), fg = Min(Exp(l - m_now), one);
        const Vec<T> z = Tanh(LoadUpTo<T>(raw + kZ * dh + i, count)), o = Sigmoid(LoadUpTo<T>(raw + kO * dh + i, count));
        const Vec<T> c_now = Fma(fg, c_before, ig * z), n_now = Fma(fg, n_before, ig);
        StoreUpTo<T>(m + b * dh + i, m_now, count);
        StoreUpTo<T>(c + at.unit + i, c_now, count);
        StoreUpTo<T>(n + at.unit + i, n_now, count);
        StoreUpTo<T>(h + at.unit + i, o * c_now / n_now, count);
        StoreUpTo<T>(keep + at.unit + i, Sigmoid(-raw_f), count);
        StoreUpTo<T>(gates + at.gate + kI * width + i, ig, count);
        StoreUpTo<T>(gates + at.gate + kF * width + i, fg, count);
        StoreUpTo<T>(gates + at.gate + kZ * width + i, z, count);
        StoreUpTo<T>(gates + at.gate + kO * width + i, o, count);
      });
    }
  }
  if (out.h == nullptr) return;
  for (int64_t b = 0; b < s.batch; ++b) {
    const int64_t to = StateOf(s, b, head), from = PlaceOf(s, s.steps - 1, b, head).unit;
    std::memcpy(out.h + to, h + from, dh * sizeof(T));
    std::memcpy(out.c + to, c + from, dh * sizeof(T));
    std::memcpy(out.n + to, n + from, dh * sizeof(T));
    std::memcpy(out.m + to, m + b * dh, dh * sizeof(T));
  }
}

template <class T>
void BackwardHead(Context& context, int thread, const SlstmBackwardInput& op, int64_t head) {
  const SlstmShape& s = op.shape;
  const int64_t dh = s.head_dim, width = s.heads * dh;
  const T* r = op.r.As<T>() + head * dh * kGates * dh;
  const uint8_t* reset = op.reset.As<uint8_t>();
  const State<T> in(op.in), dout(op.dout), din(op.din);
  const T *h = op.h.As<T>(), *gates = op.gates.As<T>(), *keep = op.keep.As<T>(), *c = op.c.As<T>(), *n = op.n.As<T>(), *dy = op.dy.As<T>();
  T* draw = op.draw.As<T>();
  // R^T once, [4 DH, DH], so that its rows are vectors over the units of h.
  T* transposed = static_cast<T*>(context.Scratch(thread, Context::kOperation, (kGates * dh * dh + (kGates + 2 * s.batch) * dh) * sizeof(T)));
  T* later = transposed + kGates * dh * dh;  // draw of step t + 1, [4, DH]
  T* dc = later + kGates * dh;               // [B, DH]
  T* dn = dc + s.batch * dh;
  for (int64_t k = 0; k < dh; ++k) {
    for (int64_t j = 0; j < kGates * dh; ++j) transposed[j * dh + k] = r[k * kGates * dh + j];
  }
  for (int64_t b = 0; b < s.batch; ++b) {
    for (int64_t i = 0; i < dh; ++i) {
      dc[b * dh + i] = dout.h == nullptr ? T(0) : dout.c[StateOf(s, b, head) + i];
      dn[b * dh + i] = dout.h == nullptr ? T(0) : dout.n[StateOf(s, b, head) + i];
    }
  }
  // One chain from `start` over draw's gates, then units.
  auto through_r = [&](Vec<T> start, const T* from, int64_t i, int64_t count) {
    for (int64_t j = 0; j < kGates * dh; ++j) start = Fma(Splat<T>(from[j]), LoadUpTo<T>(transposed + j * dh + i, count), start);
    return start;
  };
  auto gather = [&](const Place& at) {
    for (int64_t g = 0; g < kGates; ++g) std::memcpy(later + g * dh, draw + at.gate + g * width, dh * sizeof(T));
  };
  for (int64_t t = s.steps - 1; t >= 0; --t) {
    for (int64_t b = 0; b < s.batch; ++b) {
      const Place at = PlaceOf(s, t, b, head);
      const bool ends = t + 1 < s.steps && reset[(t + 1) * s.batch + b] != 0;  // the next row starts a document: nothing comes back
      const bool fresh = reset[t * s.batch + b] != 0 || (t == 0 && in.h == nullptr);
      const int64_t before = t > 0 ? PlaceOf(s, t - 1, b, head).unit : StateOf(s, b, head);
      const T *c0 = t > 0 ? c : in.c, *n0 = t > 0 ? n : in.n;
      if (t + 1 < s.steps && !ends) gather(PlaceOf(s, t + 1, b, head));
      ForEachVector<T>(dh, [&](int64_t i, int64_t count) {
        const Vec<T> zero = Splat<T>(0), one = Splat<T>(1);
        Vec<T> dh_now = LoadUpTo<T>(dy + at.unit + i, count);
        if (t + 1 < s.steps) {
          if (!ends) dh_now = dh_now + through_r(zero, later, i, count);
        } else if (dout.h != nullptr) {
          dh_now = dh_now + LoadUpTo<T>(dout.h + StateOf(s, b, head) + i, count);
        }
        const Vec<T> ig = LoadUpTo<T>(gates + at.gate + kI * width + i, count), fg = LoadUpTo<T>(gates + at.gate + kF * width + i, count);
        const Vec<T> z = LoadUpTo<T>(gates + at.gate + kZ * width + i, count), o = LoadUpTo<T>(gates + at.gate + kO * width + i, count);
        const Vec<T> n_now = LoadUpTo<T>(n + at.unit + i, count), h_now = LoadUpTo<T>(h + at.unit + i, count);
        const Vec<T> c_before = fresh ? zero : LoadUpTo<T>(c0 + before + i, count), n_before = fresh ? zero : LoadUpTo<T>(n0 + before + i, count);
        const Vec<T> dc_later = ends ? zero : LoadUpTo<T>(dc + b * dh + i, count), dn_later = ends ? zero : LoadUpTo<T>(dn + b * dh + i, count);
        const Vec<T> dc_now = dc_later + dh_now * o / n_now;
        const Vec<T> dn_now = dn_later - dh_now * h_now / n_now;
        StoreUpTo<T>(draw + at.gate + kI * width + i, ig * Fma(z, dc_now, dn_now), count);
        StoreUpTo<T>(draw + at.gate + kF * width + i, fg * Fma(dc_now, c_before, dn_now * n_before) * LoadUpTo<T>(keep + at.unit + i, count), count);
        StoreUpTo<T>(draw + at.gate + kZ * width + i, dc_now * ig * (one - z * z), count);
        StoreUpTo<T>(draw + at.gate + kO * width + i, (one - o) * h_now * dh_now, count);
        StoreUpTo<T>(dc + b * dh + i, fg * dc_now, count);
        StoreUpTo<T>(dn + b * dh + i, fg * dn_now, count);
      });
    }
  }
  if (din.h == nullptr) return;
  for (int64_t b = 0; b < s.batch; ++b) {
    const int64_t to = StateOf(s, b, head);
    const bool fresh = reset[b] != 0;
    gather(PlaceOf(s, 0, b, head));
    ForEachVector<T>(dh, [&](int64_t i, int64_t count) {
      const Vec<T> zero = Splat<T>(0);
      StoreUpTo<T>(din.h + to + i, fresh ? zero : through_r(zero, later, i, count), count);
      StoreUpTo<T>(din.c + to + i, fresh ? zero : LoadUpTo<T>(dc + b * dh + i, count), count);
      StoreUpTo<T>(din.n + to + i, fresh ? zero : LoadUpTo<T>(dn + b * dh + i, count), count);
    });
  }
}

}  // namespace

void Run(Context& context, const SlstmForward& op) {
  Typed(op.x.dtype(), [&](auto zero) {
    Parallel(context, op.shape.heads, [&](int64_t head, int thread) { ForwardHead<decltype(zero)>(context, thread, op, head); });
  });
}

void Run(Context& context, const SlstmBackwardInput& op) {
  Typed(op.dy.dtype(), [&](auto zero) {
    Parallel(context, op.shape.heads, [&](int64_t head, int thread) { BackwardHead<decltype(zero)>(context, thread, op, head); });
  });
}

void Run(Context& context, const SlstmBackwardWeight& op) {
  Typed(op.draw.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const SlstmShape& s = op.shape;
    const int64_t dh = s.head_dim, width = s.heads * dh;
    const T *h_before = op.h_before.As<T>(), *draw = op.draw.As<T>();
    T *dr = op.dr.As<T>(), *db = op.db.As<T>();
    // One task: one gate of one head.
    Parallel(context, s.heads * kGates, [&](int64_t task, int) {
      const int64_t head = task / kGates, g = task % kGates;
      for (int64_t row = s.steps * s.batch - 1; row >= 0; --row) {
        const T* d = draw + (row * kGates + g) * width + head * dh;
        const T* before = h_before + row * width + head * dh;
        ForEachVector<T>(dh, [&](int64_t i, int64_t count) {
          const Vec<T> gradient = LoadUpTo<T>(d + i, count);
          for (int64_t k = 0; k < dh; ++k) {
            T* to = dr + ((head * dh + k) * kGates + g) * dh + i;
            StoreUpTo<T>(to, Fma(Splat<T>(before[k]), gradient, LoadUpTo<T>(to, count)), count);
          }
          T* to = db + (head * kGates + g) * dh + i;
          StoreUpTo<T>(to, LoadUpTo<T>(to, count) + gradient, count);
        });
      }
    });
  });
}

}  // namespace carousel::kernels::CAROUSEL_ISA
