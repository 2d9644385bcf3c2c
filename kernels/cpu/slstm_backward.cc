// The sLSTM cell, backward: from the last step to the first.

#include <cstring>

#include "kernels/cpu/operands.h"
#include "kernels/cpu/row_sum.h"
#include "kernels/cpu/run.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/slstm_task.h"
#include "kernels/cpu/typed.h"

namespace carousel::kernels::CAROUSEL_ISA {
namespace {

// The operation with its addresses resolved.
template <class T>
struct Backward {
  explicit Backward(const SlstmBackwardInput& op)
      : shape(op.shape),
        r(op.r.As<T>()),
        reset(op.reset.As<uint8_t>()),
        c_in(op.in.c.As<T>()),
        n_in(op.in.n.As<T>()),
        h(op.h.As<T>()),
        gates(op.gates.As<T>()),
        keep(op.keep.As<T>()),
        c(op.c.As<T>()),
        n(op.n.As<T>()),
        dy(op.dy.As<T>()),
        dh_out(op.dout.h.As<T>()),
        dc_out(op.dout.c.As<T>()),
        dn_out(op.dout.n.As<T>()),
        draw(op.draw.As<T>()),
        dh_in(op.din.h.As<T>()),
        dc_in(op.din.c.As<T>()),
        dn_in(op.din.n.As<T>()) {}

  SlstmShape shape;
  const T* r;
  const uint8_t* reset;
  const T *c_in, *n_in;
  const T *h, *gates, *keep, *c, *n, *dy;
  const T *dh_out, *dc_out, *dn_out;
  T* draw;
  T *dh_in, *dc_in, *dn_in;
};

// What one step knows of some units, and the gradients that it moves back.
template <class T>
struct Units {
  Vec<T> i, f, z, o, keep;
  Vec<T> h, n, c_before, n_before;
  Vec<T> dh, dc, dn;
  Vec<T> draw_i, draw_f, draw_z, draw_o;
};

template <class T>
[[gnu::always_inline]] inline void StepBack(Units<T>& u) {
  const Vec<T> one = Splat<T>(1);
  const Vec<T> share = u.dh / u.n;
  u.dc = Fma(share, u.o, u.dc);
  u.dn = Fma(-share, u.h, u.dn);
  u.draw_i = u.i * Fma(u.z, u.dc, u.dn);
  u.draw_f = u.f * Fma(u.dc, u.c_before, u.dn * u.n_before) * u.keep;
  u.draw_z = u.dc * u.i * Fma(-u.z, u.z, one);
  u.draw_o = (one - u.o) * u.h * u.dh;
  u.dc = u.f * u.dc;
  u.dn = u.f * u.dn;
}

// What a task keeps of one step after another; `units` of all its sequences, `dim` of one.
template <class T>
struct BackwardScratch {
  BackwardScratch(Arena& arena, int64_t units, int64_t dim)
      : draw(arena.Take<T>(kGates * units)),
        packed_draw(arena.Take<T>(kGates * units)),
        dh(arena.Take<T>(units)),
        dc(arena.Take<T>(units)),
        dn(arena.Take<T>(units)),
        zeros(arena.Take<T>(dim)) {}

  T* draw;          // [b, 4, unit]
  T* packed_draw;   // the same, for the product
  T *dh, *dc, *dn;  // [b, unit]; dh without dy
  T* zeros;         // [unit]
};

// Runs one task back through time.
template <class T>
class BackwardTask {
 public:
  BackwardTask(const Backward<T>& op, const SlstmTask& task, const T* packed_r,
               const BackwardScratch<T>& scratch)
      : op_(op),
        task_(task),
        rows_(op.shape, task),
        dim_(op.shape.head_dim),
        packed_r_(packed_r),
        draw_(scratch.draw),
        packed_draw_(scratch.packed_draw),
        dh_(scratch.dh),
        dc_(scratch.dc),
        dn_(scratch.dn),
        zeros_(scratch.zeros) {
    std::memset(zeros_, 0, dim_ * sizeof(T));
  }

  void Run() {
    Read(op_.dh_out, dh_);
    Read(op_.dc_out, dc_);
    Read(op_.dn_out, dn_);
    for (int64_t t = op_.shape.steps - 1; t >= 0; --t) {
      for (int64_t b = 0; b < task_.count; ++b) RunRow(t, b);
      PackRows(Strided<T>{draw_, kGates * dim_, 1}, task_.count, kGates * dim_, packed_draw_);
      ChainEnds<T> ends;
      ends.to = dh_;
      ends.to_row = dim_;
      MultiplyPacked(task_.count, kGates * dim_, dim_, packed_draw_, packed_r_, ends);
      for (int64_t b = 0; b < task_.count; ++b) {
        if (IsReset(op_.reset, rows_.Flag(t, b))) Forget(b);
      }
    }
    Write(dh_, op_.dh_in);
    Write(dc_, op_.dc_in);
    Write(dn_, op_.dn_in);
  }

 private:
  void Read(const T* out, T* own) const {
    for (int64_t b = 0; b < task_.count; ++b) {
      std::memcpy(own + b * dim_, out == nullptr ? zeros_ : out + rows_.Unit(0, b),
                  dim_ * sizeof(T));
    }
  }
  void Write(const T* own, T* in) const {
    if (in == nullptr) return;
    for (int64_t b = 0; b < task_.count; ++b) {
      std::memcpy(in + rows_.Unit(0, b), own + b * dim_, dim_ * sizeof(T));
    }
  }

  void Forget(int64_t b) {
    for (T* own : {dh_, dc_, dn_}) std::memset(own + b * dim_, 0, dim_ * sizeof(T));
  }

  // A tensor [S, B, D] one step before t, as the step saw it.
  const T* Before(const T* kept, const T* in, int64_t t, int64_t b) const {
    if (IsReset(op_.reset, rows_.Flag(t, b))) return zeros_;
    if (t > 0) return kept + rows_.Unit(t - 1, b);
    return in == nullptr ? zeros_ : in + rows_.Unit(0, b);
  }

  void RunRow(int64_t t, int64_t b) {
    const int64_t own = b * dim_, kept = rows_.Unit(t, b), width = rows_.width;
    const T* gates = op_.gates + rows_.Gate(t, b, 0);
    const T* c_before = Before(op_.c, op_.c_in, t, b);
    const T* n_before = Before(op_.n, op_.n_in, t, b);
    T* draw = op_.draw + rows_.Gate(t, b, 0);
    T* own_draw = draw_ + b * kGates * dim_;
    ForEachVector<T>(dim_, [&](int64_t u, int64_t count) {
      PrefetchBefore(kept + u, gates + u);
      Units<T> units;
      units.i = LoadUpTo<T>(gates + kGateI * width + u, count);
      units.f = LoadUpTo<T>(gates + kGateF * width + u, count);
      units.z = LoadUpTo<T>(gates + kGateZ * width + u, count);
      units.o = LoadUpTo<T>(gates + kGateO * width + u, count);
      units.keep = LoadUpTo<T>(op_.keep + kept + u, count);
      units.h = LoadUpTo<T>(op_.h + kept + u, count);
      units.n = LoadUpTo<T>(op_.n + kept + u, count);
      units.c_before = LoadUpTo<T>(c_before + u, count);
      units.n_before = LoadUpTo<T>(n_before + u, count);
      units.dh = LoadUpTo<T>(op_.dy + kept + u, count) + LoadUpTo<T>(dh_ + own + u, count);
      units.dc = LoadUpTo<T>(dc_ + own + u, count);
      units.dn = LoadUpTo<T>(dn_ + own + u, count);
      StepBack(units);
      const Vec<T> draws[kGates] = {units.draw_i, units.draw_f, units.draw_z, units.draw_o};
#pragma GCC unroll 4
      for (int64_t gate = 0; gate < kGates; ++gate) {
        StoreUpTo<T>(draw + gate * width + u, draws[gate], count);
        StoreUpTo<T>(own_draw + gate * dim_ + u, draws[gate], count);
      }
      StoreUpTo<T>(dc_ + own + u, units.dc, count);
      StoreUpTo<T>(dn_ + own + u, units.dn, count);
    });
  }

  // Asks for what the step before this one will read. Harmless where there is none.
  [[gnu::always_inline]] void PrefetchBefore(int64_t kept, const T* gates) const {
    const int64_t step = rows_.batch * rows_.width;
#pragma GCC unroll 4
    for (int64_t gate = 0; gate < kGates; ++gate) {
      __builtin_prefetch(gates + gate * rows_.width - kGates * step, 1);
    }
    __builtin_prefetch(op_.keep + kept - step);
    __builtin_prefetch(op_.h + kept - step);
    __builtin_prefetch(op_.dy + kept - step);
    __builtin_prefetch(op_.c + kept - 2 * step);
    __builtin_prefetch(op_.n + kept - 2 * step);
  }

  const Backward<T>& op_;
  const SlstmTask task_;
  const SlstmRows rows_;
  const int64_t dim_;
  const T* packed_r_;
  T *const draw_, *const packed_draw_, *const dh_, *const dc_, *const dn_, *const zeros_;
};

void CheckOperands(const SlstmBackwardInput& op) {
  CheckShape(op.shape);
  const int64_t units = UnitsOf(op.shape), state = op.shape.batch * WidthOf(op.shape);
  KERNEL_CHECK(Holds(op.r, kGates * WidthOf(op.shape) * op.shape.head_dim));
  KERNEL_CHECK(IsEmptyOrHolds(op.reset, op.shape.steps * op.shape.batch));
  KERNEL_CHECK(op.in.empty() || (Holds(op.in.c, state) && Holds(op.in.n, state)));
  KERNEL_CHECK(Holds(op.h, units));
  KERNEL_CHECK(Holds(op.gates, kGates * units));
  KERNEL_CHECK(Holds(op.keep, units));
  KERNEL_CHECK(Holds(op.c, units));
  KERNEL_CHECK(Holds(op.n, units));
  KERNEL_CHECK(Holds(op.dy, units));
  KERNEL_CHECK(Holds(op.draw, kGates * units));
  for (const SlstmState* carried : {&op.dout, &op.din}) {
    if (carried->empty()) continue;
    KERNEL_CHECK(Holds(carried->h, state));
    KERNEL_CHECK(Holds(carried->c, state));
    KERNEL_CHECK(Holds(carried->n, state));
  }
}

}  // namespace

void Run(Context& context, const SlstmBackwardInput& op) {
  CheckOperands(op);
  Typed(op.dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Backward<T> backward(op);
    const SlstmShape& shape = op.shape;
    const int64_t dim = shape.head_dim, gates = kGates * dim;
    const int64_t packed_size = PackedColumnsSize<T>(gates, dim);
    T* packed_r =
        static_cast<T*>(context.Scratch(0, Context::kPackB, shape.heads * packed_size * sizeof(T)));
    Parallel(context, shape.heads, [&](int64_t head, int) {
      // R^T: [gate and unit of draw, unit of h]
      PackColumns(Strided<T>{backward.r + head * dim * gates, 1, gates}, gates, dim,
                  packed_r + head * packed_size);
    });
    const SlstmTasks tasks(shape, context.threads());
    const int64_t units = tasks.largest_group() * dim;
    Arena measure;
    BackwardScratch<T>(measure, units, dim);
    Parallel(context, tasks.count(), [&](int64_t index, int thread) {
      const SlstmTask task = tasks[index];
      Arena arena(context.Scratch(thread, Context::kOperation, measure.used()));
      const BackwardScratch<T> scratch(arena, units, dim);
      BackwardTask<T>(backward, task, packed_r + task.head * packed_size, scratch).Run();
    });
  });
}

void Run(Context& context, const SlstmBackwardWeight& op) {
  const SlstmShape& shape = op.shape;
  const int64_t rows = shape.steps * shape.batch, dim = shape.head_dim, width = WidthOf(shape);
  CheckShape(shape);
  KERNEL_CHECK(Holds(op.h_before, rows * width));
  KERNEL_CHECK(Holds(op.draw, rows * kGates * width));
  KERNEL_CHECK(Holds(op.dr, kGates * width * dim));
  KERNEL_CHECK(Holds(op.db, kGates * width));
  if (rows == 0) return;
  Typed(op.draw.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* h_before = op.h_before.As<T>();
    const T* draw = op.draw.As<T>();
    for (int64_t gate = 0; gate < kGates; ++gate) {
      MatMul<T>(context, {.m = dim,
                          .n = dim,
                          .k = rows,
                          .a = Transposed(RowsFromTheLast(h_before, rows, width)),
                          .b = RowsFromTheLast(draw + gate * width, rows, kGates * width),
                          .c = op.dr.As<T>() + gate * dim,
                          .c_row = kGates * dim,
                          .accumulate = true,
                          .count = shape.heads,
                          .a_next = dim,
                          .b_next = dim,
                          .c_next = dim * kGates * dim});
    }
    T* db = op.db.As<T>();
    Parallel(context, shape.heads * kGates, [&](int64_t index, int) {
      const int64_t head = index / kGates, gate = index % kGates;
      AddRowsFromTheLast(draw + gate * width + head * dim, kGates * width, rows, dim,
                         db + index * dim);
    });
  });
}

}  // namespace carousel::kernels::CAROUSEL_ISA
