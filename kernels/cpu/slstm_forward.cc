// The sLSTM cell, forward.

#include <cstring>

#include "kernels/cpu/math.h"
#include "kernels/cpu/operands.h"
#include "kernels/cpu/run.h"
#include "kernels/cpu/scratch.h"
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

// What a task keeps of one step after another; `units` of all its sequences.
template <class T>
struct ForwardScratch {
  ForwardScratch(Arena& arena, int64_t units)
      : raw(arena.Take<T>(kGates * units)),
        next_raw(arena.Take<T>(kGates * units)),
        packed_h(arena.Take<T>(units)),
        h(arena.Take<T>(units)),
        c(arena.Take<T>(units)),
        n(arena.Take<T>(units)),
        m(arena.Take<T>(units)) {}

  T *raw, *next_raw;  // [b, 4, unit]: arguments of the gates; of this step and the next
  T* packed_h;        // h, for the product
  T *h, *c, *n, *m;   // [b, unit]
};

// Runs one task through time.
template <class T>
class ForwardTask {
 public:
  ForwardTask(const Forward<T>& op, const SlstmTask& task, const T* packed_r,
              const ForwardScratch<T>& scratch)
      : op_(op),
        task_(task),
        rows_(op.shape, task),
        dim_(op.shape.head_dim),
        packed_r_(packed_r),
        raw_(scratch.raw),
        next_raw_(scratch.next_raw),
        packed_h_(scratch.packed_h),
        h_(scratch.h),
        c_(scratch.c),
        n_(scratch.n),
        m_(scratch.m) {}

  void Run() {
    ReadState();
    for (int64_t b = 0; b < task_.count; ++b) StartChains(b);
    for (int64_t t = 0; t < op_.shape.steps; ++t) {
      for (int64_t b = 0; b < task_.count; ++b) Begin(t, b);
      PackRows(Strided<T>{h_, dim_, 1}, task_.count, dim_, packed_h_);
      ChainEnds<T> ends;
      ends.from = ends.to = raw_;
      ends.from_row = ends.to_row = kGates * dim_;
      MultiplyPacked(task_.count, dim_, kGates * dim_, packed_h_, packed_r_, ends);
      for (int64_t b = 0; b < task_.count; ++b) End(t, b);
      T* const raw = raw_;
      raw_ = next_raw_;
      next_raw_ = raw;
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

  // The state that the step starts from.
  void Begin(int64_t t, int64_t b) {
    if (IsReset(op_.reset, rows_.Flag(t, b))) {
      for (T* own : {h_, c_, n_, m_}) std::memset(own + b * dim_, 0, dim_ * sizeof(T));
    }
    std::memcpy(op_.h_before + rows_.Unit(t, b), h_ + b * dim_, dim_ * sizeof(T));
  }

  // Where the chains of one gate start: x + b. Asks for the x after that.
  struct Start {
    [[gnu::always_inline]] void operator()(int64_t u, int64_t count) const {
      __builtin_prefetch(x + step + u, 1);
      StoreUpTo<T>(raw + u, LoadUpTo<T>(x + u, count) + LoadUpTo<T>(bias + u, count), count);
    }
    const T *x, *bias;
    T* raw;
    int64_t step;  // elements from an x to that of the next step
  };
  Start StartOf(int64_t t, int64_t b, int64_t gate, T* raw) const {
    return {op_.x + rows_.Gate(t, b, gate), op_.b + (task_.head * kGates + gate) * dim_,
            raw + (b * kGates + gate) * dim_, rows_.Gate(1, 0, 0) - rows_.Gate(0, 0, 0)};
  }
  void StartChains(int64_t b) {
    if (op_.shape.steps == 0) return;
    for (int64_t gate = 0; gate < kGates; ++gate) ForEachVector<T>(dim_, StartOf(0, b, gate, raw_));
  }

  // Several short loops: a processor looks ahead over more units of a short one, and every function
  // here is a long chain of instructions that wait for each other. Each loop also starts the chains
  // of one gate of the next step and asks for memory that the next step will write, because these
  // wait for memory and not for arithmetic. After the last step that is harmless.
  void End(int64_t t, int64_t b) {
    const int64_t next = t + 1 < op_.shape.steps ? t + 1 : t;
    T* raw = raw_ + b * kGates * dim_;
    ActivateForget(t, b, raw + kGateF * dim_, StartOf(next, b, kGateI, next_raw_));
    Activate(raw + kGateZ * dim_, StartOf(next, b, kGateF, next_raw_), op_.h + rows_.Unit(next, b),
             [](Vec<T> z) { return Tanh(z); });
    Activate(raw + kGateO * dim_, StartOf(next, b, kGateZ, next_raw_), op_.c + rows_.Unit(next, b),
             [](Vec<T> o) { return Sigmoid(o); });
    MoveStabiliser(b, raw, StartOf(next, b, kGateO, next_raw_), op_.n + rows_.Unit(next, b));
    MoveState(t, b, raw);
  }

  // raw_f to log sigmoid(raw_f); keep is 1 - sigmoid(raw_f).
  void ActivateForget(int64_t t, int64_t b, T* raw, const Start& start) const {
    T* keep = op_.keep + rows_.Unit(t, b);
    const T* h_before = op_.h_before + rows_.Unit(t, b);
    const int64_t step = rows_.batch * rows_.width;
    ForEachVector<T>(dim_, [&](int64_t u, int64_t count) {
      start(u, count);
      __builtin_prefetch(keep + step + u, 1);
      __builtin_prefetch(h_before + step + u, 1);
      const auto forget = LogSigmoidWithSlope(LoadUpTo<T>(raw + u, count));
      StoreUpTo<T>(keep + u, forget.slope, count);
      StoreUpTo<T>(raw + u, forget.log, count);
    });
  }

  template <class Function>
  [[gnu::always_inline]] void Activate(T* raw, const Start& start, const T* written_next,
                                       const Function& function) const {
    ForEachVector<T>(dim_, [&](int64_t u, int64_t count) {
      start(u, count);
      __builtin_prefetch(written_next + u, 1);
      StoreUpTo<T>(raw + u, function(LoadUpTo<T>(raw + u, count)), count);
    });
  }

  // m, and the gates i and f in its scale.
  void MoveStabiliser(int64_t b, T* raw, const Start& start, const T* written_next) {
    const Vec<T> zero = Splat<T>(0), one = Splat<T>(1);
    T *gate_i = raw + kGateI * dim_, *gate_f = raw + kGateF * dim_;
    T* own_m = m_ + b * dim_;
    const T* own_n = n_ + b * dim_;
    ForEachVector<T>(dim_, [&](int64_t u, int64_t count) {
      start(u, count);
      __builtin_prefetch(written_next + u, 1);
      const Vec<T> raw_i = LoadUpTo<T>(gate_i + u, count);
      const Vec<T> n = LoadUpTo<T>(own_n + u, count);
      const Vec<T> l = LoadUpTo<T>(own_m + u, count) + LoadUpTo<T>(gate_f + u, count);
      // m is raw_i or l, so one of raw_i - m and l - m is 0, and that gate e^0 = 1. So is, where
      // n == 0 chose the smaller of the two, the other gate: its exponent is cut off at 1.
      const auto takes_i = (n == zero) | (raw_i > l);
      const Vec<T> e = Exp(-Abs(raw_i - l));
      StoreUpTo<T>(own_m + u, takes_i ? raw_i : l, count);
      StoreUpTo<T>(gate_i + u, takes_i ? one : e, count);
      const Vec<T> f_beside_i = l > raw_i ? one : e;
      StoreUpTo<T>(gate_f + u, takes_i ? f_beside_i : one, count);
    });
  }

  void MoveState(int64_t t, int64_t b, const T* raw) {
    T* gates = op_.gates + rows_.Gate(t, b, 0);
    T *h = op_.h + rows_.Unit(t, b), *c = op_.c + rows_.Unit(t, b), *n = op_.n + rows_.Unit(t, b);
    T *own_h = h_ + b * dim_, *own_c = c_ + b * dim_, *own_n = n_ + b * dim_;
    const int64_t dim = dim_, width = rows_.width;
    ForEachVector<T>(dim, [&](int64_t u, int64_t count) {
      const Vec<T> i = LoadUpTo<T>(raw + kGateI * dim + u, count);
      const Vec<T> f = LoadUpTo<T>(raw + kGateF * dim + u, count);
      const Vec<T> z = LoadUpTo<T>(raw + kGateZ * dim + u, count);
      const Vec<T> o = LoadUpTo<T>(raw + kGateO * dim + u, count);
      const Vec<T> c_now = Fma(f, LoadUpTo<T>(own_c + u, count), i * z);
      const Vec<T> n_now = Fma(f, LoadUpTo<T>(own_n + u, count), i);
      const Vec<T> h_now = o * c_now / n_now;
      StoreUpTo<T>(gates + kGateI * width + u, i, count);
      StoreUpTo<T>(gates + kGateF * width + u, f, count);
      StoreUpTo<T>(gates + kGateZ * width + u, z, count);
      StoreUpTo<T>(gates + kGateO * width + u, o, count);
      StoreUpTo<T>(own_h + u, h_now, count);
      StoreUpTo<T>(own_c + u, c_now, count);
      StoreUpTo<T>(own_n + u, n_now, count);
      StoreUpTo<T>(h + u, h_now, count);
      StoreUpTo<T>(c + u, c_now, count);
      StoreUpTo<T>(n + u, n_now, count);
    });
  }

  const Forward<T>& op_;
  const SlstmTask task_;
  const SlstmRows rows_;
  const int64_t dim_;
  const T* packed_r_;
  T *raw_, *next_raw_;  // trade places at every step
  T *const packed_h_, *const h_, *const c_, *const n_, *const m_;
};

void CheckOperands(const SlstmForward& op) {
  CheckShape(op.shape);
  const int64_t units = UnitsOf(op.shape), state = op.shape.batch * WidthOf(op.shape);
  KERNEL_CHECK(Holds(op.x, kGates * units));
  KERNEL_CHECK(Holds(op.r, kGates * WidthOf(op.shape) * op.shape.head_dim));
  KERNEL_CHECK(Holds(op.b, kGates * WidthOf(op.shape)));
  KERNEL_CHECK(IsEmptyOrHolds(op.reset, op.shape.steps * op.shape.batch));
  KERNEL_CHECK(Holds(op.h, units));
  KERNEL_CHECK(Holds(op.gates, kGates * units));
  KERNEL_CHECK(Holds(op.keep, units));
  KERNEL_CHECK(Holds(op.c, units));
  KERNEL_CHECK(Holds(op.n, units));
  KERNEL_CHECK(Holds(op.h_before, units));
  for (const SlstmState* carried : {&op.in, &op.out}) {
    if (carried->empty()) continue;
    KERNEL_CHECK(Holds(carried->h, state));
    KERNEL_CHECK(Holds(carried->c, state));
    KERNEL_CHECK(Holds(carried->n, state));
    KERNEL_CHECK(Holds(carried->m, state));
  }
}

}  // namespace

void Run(Context& context, const SlstmForward& op) {
  CheckOperands(op);
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
    const int64_t units = tasks.largest_group() * dim;
    Arena measure;
    ForwardScratch<T>(measure, units);
    Parallel(context, tasks.count(), [&](int64_t index, int thread) {
      const SlstmTask task = tasks[index];
      Arena arena(context.Scratch(thread, Context::kOperation, measure.used()));
      const ForwardScratch<T> scratch(arena, units);
      ForwardTask<T>(forward, task, packed_r + task.head * packed_size, scratch).Run();
    });
  });
}

}  // namespace carousel::kernels::CAROUSEL_ISA
