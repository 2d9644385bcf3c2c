#include "kernels/gated.h"

#include "kernels/cpu/math.h"
#include "kernels/cpu/operands.h"
#include "kernels/cpu/run.h"
#include "kernels/cpu/split.h"
#include "kernels/cpu/typed.h"

namespace carousel::kernels::CAROUSEL_ISA {
namespace {

// act(x) and act'(x).
template <class T>
struct Activation {
  Vec<T> value, slope;
};

// silu' = s (1 + x (1 - s))
template <class T>
[[gnu::always_inline]] inline Activation<T> Silu(Vec<T> x) {
  const Vec<T> s = Sigmoid(x);
  return {x * s, s * Fma(x, T(1) - s, Splat<T>(1))};
}

// gelu = x Phi(x), gelu' = Phi(x) + x phi(x)
template <class T>
[[gnu::always_inline]] inline Activation<T> Gelu(Vec<T> x) {
  constexpr T kSqrtHalf = static_cast<T>(0.70710678118654752440);
  constexpr T kDensityAt0 = static_cast<T>(0.39894228040143267794);  // 1 / sqrt(2 pi)
  const Vec<T> phi_sum = Fma(Erf(x * kSqrtHalf), Splat<T>(0.5), Splat<T>(0.5));
  const Vec<T> density = Exp(x * x * static_cast<T>(-0.5)) * kDensityAt0;
  return {x * phi_sum, Fma(x, density, phi_sum)};
}

template <class T>
[[gnu::always_inline]] inline Activation<T> Activate(GateKind kind, Vec<T> x) {
  return kind == GateKind::kSilu ? Silu<T>(x) : Gelu<T>(x);
}

// Calls body(row, i, n) for every vector of every row.
template <class T, class Body>
void ForEachRowVector(Context& context, int64_t rows, int64_t width, const Body& body) {
  ParallelRows(context, rows, width, [&](int64_t first, int64_t count) {
    for (int64_t row = first; row < first + count; ++row) {
      ForEachVector<T>(width, [&](int64_t i, int64_t n) { body(row, i, n); });
    }
  });
}

template <class T>
struct RowAccess {
  explicit RowAccess(const Matrix& matrix) : data(matrix.data.As<T>()), stride(matrix.stride) {}
  [[gnu::always_inline]] Vec<T> Get(int64_t row, int64_t i, int64_t n) const {
    return LoadUpTo<T>(data + row * stride + i, n);
  }
  [[gnu::always_inline]] void Set(int64_t row, int64_t i, int64_t n, Vec<T> value) const {
    StoreUpTo<T>(data + row * stride + i, value, n);
  }
  T* data;
  int64_t stride;
};

}  // namespace

void Run(Context& context, const GatedUnitForward& op) {
  KERNEL_CHECK(Holds(op.gate, op.rows, op.width));
  KERNEL_CHECK(Holds(op.up, op.rows, op.width));
  KERNEL_CHECK(Holds(op.y, op.rows, op.width));
  Typed(op.y.data.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const RowAccess<T> gate(op.gate), up(op.up), y(op.y);
    ForEachRowVector<T>(context, op.rows, op.width, [&](int64_t row, int64_t i, int64_t n) {
      y.Set(row, i, n, Activate<T>(op.kind, gate.Get(row, i, n)).value * up.Get(row, i, n));
    });
  });
}

void Run(Context& context, const GatedUnitBackward& op) {
  KERNEL_CHECK(Holds(op.gate, op.rows, op.width));
  KERNEL_CHECK(Holds(op.up, op.rows, op.width));
  KERNEL_CHECK(Holds(op.dy, op.rows, op.width));
  KERNEL_CHECK(Holds(op.dgate, op.rows, op.width));
  KERNEL_CHECK(Holds(op.dup, op.rows, op.width));
  Typed(op.dy.data.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const RowAccess<T> gate(op.gate), up(op.up), dy(op.dy), dgate(op.dgate), dup(op.dup);
    ForEachRowVector<T>(context, op.rows, op.width, [&](int64_t row, int64_t i, int64_t n) {
      const Activation<T> act = Activate<T>(op.kind, gate.Get(row, i, n));
      const Vec<T> g = dy.Get(row, i, n), u = up.Get(row, i, n);
      dgate.Set(row, i, n, g * u * act.slope);
      dup.Set(row, i, n, g * act.value);
    });
  });
}

void Run(Context& context, const OutputGateForward& op) {
  KERNEL_CHECK(op.o.size() == op.y.size());
  KERNEL_CHECK(op.h.size() == op.y.size());
  Typed(op.y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* o = op.o.As<T>();
    const T* h = op.h.As<T>();
    T* y = op.y.As<T>();
    ParallelElements(context, op.y.size(), [&](int64_t first, int64_t count) {
      ForEachVector<T>(count, [&](int64_t i, int64_t n) {
        StoreUpTo<T>(y + first + i,
                     Sigmoid(LoadUpTo<T>(o + first + i, n)) * LoadUpTo<T>(h + first + i, n), n);
      });
    });
  });
}

void Run(Context& context, const OutputGateBackward& op) {
  KERNEL_CHECK(op.o.size() == op.dy.size());
  KERNEL_CHECK(op.h.size() == op.dy.size());
  KERNEL_CHECK(op.d_o.size() == op.dy.size());
  KERNEL_CHECK(op.dh.size() == op.dy.size());
  Typed(op.dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* o = op.o.As<T>();
    const T* h = op.h.As<T>();
    const T* dy = op.dy.As<T>();
    T* d_o = op.d_o.As<T>();
    T* dh = op.dh.As<T>();
    ParallelElements(context, op.dy.size(), [&](int64_t first, int64_t count) {
      ForEachVector<T>(count, [&](int64_t i, int64_t n) {
        const Vec<T> s = Sigmoid(LoadUpTo<T>(o + first + i, n)), g = LoadUpTo<T>(dy + first + i, n),
                     x = LoadUpTo<T>(h + first + i, n);
        StoreUpTo<T>(d_o + first + i, g * x * (s * (T(1) - s)), n);
        StoreUpTo<T>(dh + first + i, g * s, n);
      });
    });
  });
}

void Run(Context& context, const SkipGateForward& op) {
  KERNEL_CHECK(Holds(op.h, op.rows, op.width));
  KERNEL_CHECK(Holds(op.c, op.rows, op.width));
  KERNEL_CHECK(Holds(op.z, op.rows, op.width));
  KERNEL_CHECK(Holds(op.skip, op.width));
  KERNEL_CHECK(Holds(op.y, op.rows, op.width));
  Typed(op.y.data.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const RowAccess<T> h(op.h), c(op.c), z(op.z), y(op.y);
    const T* skip = op.skip.As<T>();
    ForEachRowVector<T>(context, op.rows, op.width, [&](int64_t row, int64_t i, int64_t n) {
      const Vec<T> sum = Fma(LoadUpTo<T>(skip + i, n), c.Get(row, i, n), h.Get(row, i, n));
      y.Set(row, i, n, sum * Silu<T>(z.Get(row, i, n)).value);
    });
  });
}

void Run(Context& context, const SkipGateBackwardInput& op) {
  KERNEL_CHECK(Holds(op.h, op.rows, op.width));
  KERNEL_CHECK(Holds(op.c, op.rows, op.width));
  KERNEL_CHECK(Holds(op.z, op.rows, op.width));
  KERNEL_CHECK(Holds(op.skip, op.width));
  KERNEL_CHECK(Holds(op.dy, op.rows, op.width));
  KERNEL_CHECK(Holds(op.dh, op.rows, op.width));
  KERNEL_CHECK(Holds(op.dc, op.rows, op.width));
  KERNEL_CHECK(Holds(op.dz, op.rows, op.width));
  Typed(op.dy.data.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const RowAccess<T> h(op.h), c(op.c), z(op.z), dy(op.dy), dh(op.dh), dc(op.dc), dz(op.dz);
    const T* skip = op.skip.As<T>();
    ForEachRowVector<T>(context, op.rows, op.width, [&](int64_t row, int64_t i, int64_t n) {
      const Vec<T> s = LoadUpTo<T>(skip + i, n), g = dy.Get(row, i, n);
      const Activation<T> act = Silu<T>(z.Get(row, i, n));
      const Vec<T> sum = Fma(s, c.Get(row, i, n), h.Get(row, i, n));
      const Vec<T> du = g * act.value;
      dz.Set(row, i, n, g * sum * act.slope);
      dc.Set(row, i, n, op.accumulate_dc ? Fma(s, du, dc.Get(row, i, n)) : s * du);
      dh.Set(row, i, n, du);
    });
  });
}

void Run(Context& context, const SkipGateBackwardWeight& op) {
  KERNEL_CHECK(Holds(op.dh, op.rows, op.width));
  KERNEL_CHECK(Holds(op.c, op.rows, op.width));
  KERNEL_CHECK(Holds(op.dskip, op.width));
  Typed(op.dskip.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const RowAccess<T> dh(op.dh), c(op.c);
    T* dskip = op.dskip.As<T>();
    ParallelColumns(context, op.width, [&](int64_t first, int64_t columns) {
      ChainOverRows<T>(
          op.rows, columns, dskip + first,
          [&](int64_t row, int64_t i, int64_t n, Vec<T> sum) __attribute__((always_inline)) {
            return Fma(dh.Get(row, first + i, n), c.Get(row, first + i, n), sum);
          });
    });
  });
}

}  // namespace carousel::kernels::CAROUSEL_ISA
