// The sLSTM cell, forward.

#include <cstring>

#include "kernels/cpu/math.h"
#include "kernels/cpu/run.h"
#include "kernels/cpu/slstm_task.h"
#include "kernels/cpu/typed.h"

namespace carousel::kernels::CAROUSEL_ISA {
namespace {

template <class T>
struct StatePointers {
  explicit StatePointers(const SlstmState& state)
      : h(state.h.As<T>()), c(state.c.As<T>()), n(state.n.As<T>()), m(state.m.As<T>()) {}
  T *h, *c, *n, *m;
};

// The operation with its addresses resolved.
template <class T>
struct Forward {
  explicit Forward(const SlstmForward& op)
      : shape(op.shape),
        x(op.x.As<T>()),
        r(op.r.As<T>()),
        b(op.b.As<T>()),
        reset(op.reset.As<uint8_t>()),
        in(op.in),
        h(op.h.As<T>()),
        gates(op.gates.As<T>()),
        keep(op.keep.As<T>()),
        c(op.c.As<T>()),
        n(op.n.As<T>()),
        h_before(op.h_before.As<T>()),
        out(op.out) {}

  SlstmShape shape;
  const T *x, *r, *b;
  const uint8_t* reset;
  StatePointers<T> in;
  T *h, *gates, *keep, *c, *n, *h_before;
  StatePointers<T> out;
};

// The pre-activations of some units, and their state, which a step moves on.
template <class T>
struct Units {
  Vec<T> i, f, z, o;
  Vec<T> c, n, m;
  Vec<T> h, keep;
};

template <class T>
[[gnu::always_inline]] inline void Step(Units<T>& u) {
  const Vec<T> zero = Splat<T>(0), one = Splat<T>(1);
  const Vec<T> t = Exp(-Abs(u.f));
  u.keep = (u.f < zero ? one : t) / (t + one);  // 1 - sigmoid(f), small values with all digits
  const Vec<T> l = u.m + ((u.f < zero ? u.f : zero) - Log1p(t));
  u.m = (u.n == zero) | (u.i > l) ? u.i : l;
  u.i = Exp(u.i - u.m);
  u.i = u.i < one ? u.i : one;
  u.f = Exp(l - u.m);
  u.f = u.f < one ? u.f : one;
  u.z = Tanh(u.z);
  u.o = Sigmoid(u.o);
  u.c = Fma(u.f, u.c, u.i * u.z);
  u.n = Fma(u.f, u.n, u.i);
  u.h = u.o * u.c / u.n;
}

// Runs one task through time.
template <class T>
class ForwardTask {
 public:
  ForwardTask(const Forward<T>& op, const SlstmTask& task, const T* packed_r, T* scratch)
      : op_(op), task_(task), rows_(op.shape, task), dim_(op.shape.head_dim), packed_r_(packed_r) {
    Carver<T> carver(scratch);
    const int64_t units = task.count * dim_;
    raw_ = carver.Take(kGates * units);
    packed_h_ = carver.Take(units);
    h_ = carver.Take(units);
    c_ = carver.Take(units);
    n_ = carver.Take(units);
    m_ = carver.Take(units);
  }
  static int64_t ScratchSize(const SlstmShape& shape) {
    return (kGates + 5) * Carver<T>::Size(shape.batch * shape.head_dim) + kGates * 64;
  }

  void Run() {
    ReadState();
    for (int64_t t = 0; t < op_.shape.steps; ++t) {
      for (int64_t b = 0; b < task_.count; ++b) Begin(t, b);
      PackRows(Strided<T>{h_, dim_, 1}, task_.count, dim_, packed_h_);
      ChainEnds<T> ends;
      ends.from = ends.to = raw_;
      ends.from_row = ends.to_row = kGates * dim_;
      MultiplyPacked(task_.count, dim_, kGates * dim_, packed_h_, packed_r_, ends);
      for (int64_t b = 0; b < task_.count; ++b) End(t, b);
    }
    WriteState();
  }

 private:
  void ReadState() {
    const auto read = [&](const T* in, T* own) {
      for (int64_t b = 0; b < task_.count; ++b) {
        if (in == nullptr) {
          std::memset(own + b * dim_, 0, dim_ * sizeof(T));
        } else {
          std::memcpy(own + b * dim_, in + rows_.Unit(0, b), dim_ * sizeof(T));
        }
      }
    };
    read(op_.in.h, h_);
    read(op_.in.c, c_);
    read(op_.in.n, n_);
    read(op_.in.m, m_);
  }

  void WriteState() const {
    const auto write = [&](const T* own, T* out) {
      if (out == nullptr) return;
      for (int64_t b = 0; b < task_.count; ++b) {
        std::memcpy(out + rows_.Unit(0, b), own + b * dim_, dim_ * sizeof(T));
      }
    };
    write(h_, op_.out.h);
    write(c_, op_.out.c);
    write(n_, op_.out.n);
    write(m_, op_.out.m);
  }

  // The state that the step starts from, and where the chains of its gates start.
  void Begin(int64_t t, int64_t b) {
    if (IsReset(op_.reset, rows_.Flag(t, b))) {
      for (T* own : {h_, c_, n_, m_}) std::memset(own + b * dim_, 0, dim_ * sizeof(T));
    }
    std::memcpy(op_.h_before + rows_.Unit(t, b), h_ + b * dim_, dim_ * sizeof(T));
    const int64_t step = rows_.Gate(1, 0, 0) - rows_.Gate(0, 0, 0);
    for (int64_t gate = 0; gate < kGates; ++gate) {
      const T* x = op_.x + rows_.Gate(t, b, gate);
      const T* bias = op_.b + (task_.head * kGates + gate) * dim_;
      T* raw = raw_ + (b * kGates + gate) * dim_;
      ForEachVector<T>(dim_, [&](int64_t u, int64_t count) {
        __builtin_prefetch(x + step + u, 1);
        StoreUpTo<T>(raw + u, LoadUpTo<T>(x + u, count) + LoadUpTo<T>(bias + u, count), count);
      });
    }
  }

  void End(int64_t t, int64_t b) {
    const T* raw = raw_ + b * kGates * dim_;
    T* gates = op_.gates + rows_.Gate(t, b, 0);
    const int64_t own = b * dim_, kept = rows_.Unit(t, b);
    ForEachVector<T>(dim_, [&](int64_t u, int64_t count) {
      Units<T> units;
      units.i = LoadUpTo<T>(raw + u, count);
      units.f = LoadUpTo<T>(raw + dim_ + u, count);
      units.z = LoadUpTo<T>(raw + 2 * dim_ + u, count);
      units.o = LoadUpTo<T>(raw + 3 * dim_ + u, count);
      units.c = LoadUpTo<T>(c_ + own + u, count);
      units.n = LoadUpTo<T>(n_ + own + u, count);
      units.m = LoadUpTo<T>(m_ + own + u, count);
      Step(units);
      StoreUpTo<T>(gates + u, units.i, count);
      StoreUpTo<T>(gates + rows_.width + u, units.f, count);
      StoreUpTo<T>(gates + 2 * rows_.width + u, units.z, count);
      StoreUpTo<T>(gates + 3 * rows_.width + u, units.o, count);
      StoreUpTo<T>(h_ + own + u, units.h, count);
      StoreUpTo<T>(c_ + own + u, units.c, count);
      StoreUpTo<T>(n_ + own + u, units.n, count);
      StoreUpTo<T>(m_ + own + u, units.m, count);
      StoreUpTo<T>(op_.keep + kept + u, units.keep, count);
      StoreUpTo<T>(op_.h + kept + u, units.h, count);
      StoreUpTo<T>(op_.c + kept + u, units.c, count);
      StoreUpTo<T>(op_.n + kept + u, units.n, count);
    });
  }

  const Forward<T>& op_;
  const SlstmTask task_;
  const SlstmRows rows_;
  const int64_t dim_;
  const T* packed_r_;
  T* raw_;               // [b, 4, unit]: a gate's argument
  T* packed_h_;          // h, for the product
  T *h_, *c_, *n_, *m_;  // [b, unit]
};

}  // namespace

void Run(Context& context, const SlstmForward& op) {
  Typed(op.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Forward<T> forward(op);
    const SlstmShape& shape = op.shape;
    const int64_t dim = shape.head_dim, gates = kGates * dim;
    const int64_t packed_size = PackedColumnsSize<T>(dim, gates);
    T* packed_r =
        static_cast<T*>(context.Scratch(0, Context::kPackB, shape.heads * packed_size * sizeof(T)));
    Parallel(context, shape.heads, [&](int64_t head, int) {
      PackColumns(Strided<T>{forward.r + head * dim * gates, gates, 1}, dim, gates,
                  packed_r + head * packed_size);
    });
    const SlstmTasks tasks(shape, context.threads());
    Parallel(context, tasks.count(), [&](int64_t index, int thread) {
      const SlstmTask task = tasks[index];
      T* scratch = static_cast<T*>(context.Scratch(thread, Context::kOperation,
                                                   ForwardTask<T>::ScratchSize(shape) * sizeof(T)));
      ForwardTask<T>(forward, task, packed_r + task.head * packed_size, scratch).Run();
    });
  });
}

}  // namespace carousel::kernels::CAROUSEL_ISA
