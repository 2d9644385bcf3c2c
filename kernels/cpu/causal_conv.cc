#include "kernels/causal_conv.h"

#include "kernels/cpu/math.h"
#include "kernels/cpu/operands.h"
#include "kernels/cpu/run.h"
#include "kernels/cpu/split.h"
#include "kernels/cpu/typed.h"

namespace carousel::kernels::CAROUSEL_ISA {
namespace {

// Of tensors [S, B, D] and [3, B, D].
int64_t Elements(const ConvShape& shape) { return shape.steps * shape.batch * shape.width; }
int64_t CarrySize(const ConvShape& shape) { return kConvCarry * shape.batch * shape.width; }

// The pointers to what one row's taps multiply, the oldest first.
template <class T>
struct Taps {
  const T* of[kConvTaps];
};

// A segment's x with the rows carried in before it, as taps see it. A row beyond a document border
// or before the sequence is replaced by zeros: chosen, not multiplied away. A chain is the same
// whether such zeros come from here or were carried in.
template <class T>
struct Window {
  const T* x;
  const T* carry;        // or nullptr: zeros
  const T* zeros;        // [D]
  const uint8_t* reset;  // or nullptr: no row is reset
  ConvShape shape;
  int64_t stride;

  // Row t - back of sequence b as row t sees it; t - back >= -kConvCarry.
  const T* Back(int64_t t, int64_t b, int64_t back) const {
    const int64_t source = t - back;
    for (int64_t s = t; s > source && s >= 0; --s) {
      if (IsReset(reset, s * shape.batch + b)) return zeros;
    }
    if (source >= 0) return x + (source * shape.batch + b) * stride;
    if (carry == nullptr) return zeros;
    return carry + ((kConvCarry + source) * shape.batch + b) * shape.width;
  }

  Taps<T> TapsOf(int64_t row) const {
    const int64_t t = row / shape.batch, b = row % shape.batch;
    return {{Back(t, b, 3), Back(t, b, 2), Back(t, b, 1), Back(t, b, 0)}};
  }
};

// The rows of dz that see x[t] through taps 3, 2, 1, 0: t, t + 1, t + 2, t + 3.
template <class T>
Taps<T> RowsAhead(const ConvShape& shape, const uint8_t* reset, const T* dz, const T* later,
                  const T* zeros, int64_t row) {
  const int64_t t = row / shape.batch, b = row % shape.batch;
  Taps<T> ahead = {{zeros, zeros, zeros, zeros}};
  for (int64_t j = 0; j < kConvTaps; ++j) {
    const int64_t to = t + j;
    if (j > 0 && to < shape.steps && IsReset(reset, to * shape.batch + b)) break;
    if (to < shape.steps) {
      ahead.of[j] = dz + (to * shape.batch + b) * shape.width;
    } else if (later != nullptr) {
      ahead.of[j] = later + ((to - shape.steps) * shape.batch + b) * shape.width;
    }
  }
  return ahead;
}

// Weights [D, 4] as four rows of D, and a row of zeros after them: what a row of vectors needs.
template <class T>
struct WeightRows {
  WeightRows(Context& context, const T* weight, int64_t width) : width(width) {
    rows = static_cast<T*>(
        context.Scratch(0, Context::kOperation, (kConvTaps + 1) * width * sizeof(T)));
    for (int64_t d = 0; d < width; ++d) {
      for (int64_t j = 0; j < kConvTaps; ++j) rows[j * width + d] = weight[d * kConvTaps + j];
    }
    std::memset(rows + kConvTaps * width, 0, width * sizeof(T));
  }
  const T* zeros() const { return rows + kConvTaps * width; }
  [[gnu::always_inline]] Vec<T> Of(int64_t tap, int64_t i, int64_t n) const {
    return LoadUpTo<T>(rows + tap * width + i, n);
  }
  T* rows;
  int64_t width;
};

template <class T>
[[gnu::always_inline]] inline Vec<T> PreActivation(const Taps<T>& taps, const WeightRows<T>& weight,
                                                   const T* bias, int64_t i, int64_t n) {
  Vec<T> z = LoadUpTo<T>(bias + i, n);
  for (int64_t j = 0; j < kConvTaps; ++j) {
    z = Fma(weight.Of(j, i, n), LoadUpTo<T>(taps.of[j] + i, n), z);
  }
  return z;
}

// The last rows of x as the next segment's first row sees them, were it no document's start.
template <class T>
void CarryForward(const Window<T>& window, T* carry_out) {
  const ConvShape& shape = window.shape;
  for (int64_t k = 0; k < kConvCarry; ++k) {
    for (int64_t b = 0; b < shape.batch; ++b) {
      const T* from = window.Back(shape.steps - 1, b, kConvCarry - 1 - k);
      std::memcpy(carry_out + (k * shape.batch + b) * shape.width, from, shape.width * sizeof(T));
    }
  }
}

// dz of rows 0, 1, 2 as the earlier segment's rows see them. In a segment shorter than that, rows
// beyond it are the later segment's.
template <class T>
void CarryBackward(const ConvShape& shape, const uint8_t* reset, const T* dz, const T* later,
                   const T* zeros, T* dcarry_out) {
  for (int64_t b = 0; b < shape.batch; ++b) {
    bool cut = false;
    for (int64_t t = 0; t < kConvCarry; ++t) {
      const int64_t row = t * shape.batch + b, beyond = row - shape.steps * shape.batch;
      cut = cut || (t < shape.steps && IsReset(reset, row));
      const T* from = zeros;
      if (!cut && t < shape.steps) from = dz + row * shape.width;
      if (!cut && t >= shape.steps && later != nullptr) from = later + beyond * shape.width;
      std::memcpy(dcarry_out + row * shape.width, from, shape.width * sizeof(T));
    }
  }
}

// dweight and dbias of `columns` columns, from the last row to the first. `sums` holds five rows of
// `columns`: the four taps' and the bias's. Rows go in blocks, so that they are read along.
template <class T>
void ChainWeights(const Window<T>& window, const T* dz, int64_t first, int64_t columns, T* sums) {
  constexpr int64_t kBlock = 16;
  const int64_t width = window.shape.width;
  for (int64_t end = window.shape.steps * window.shape.batch; end > 0; end -= kBlock) {
    const int64_t begin = Max<int64_t>(0, end - kBlock);
    Taps<T> taps[kBlock];
    for (int64_t row = begin; row < end; ++row) taps[row - begin] = window.TapsOf(row);
    ForEachVector<T>(columns, [&](int64_t i, int64_t n) {
      Vec<T> sum[kConvTaps + 1];
      for (int64_t j = 0; j <= kConvTaps; ++j) sum[j] = LoadUpTo<T>(sums + j * columns + i, n);
      for (int64_t row = end - 1; row >= begin; --row) {
        const Vec<T> d = LoadUpTo<T>(dz + row * width + first + i, n);
        for (int64_t j = 0; j < kConvTaps; ++j) {
          sum[j] = Fma(d, LoadUpTo<T>(taps[row - begin].of[j] + first + i, n), sum[j]);
        }
        sum[kConvTaps] = sum[kConvTaps] + d;
      }
      for (int64_t j = 0; j <= kConvTaps; ++j) StoreUpTo<T>(sums + j * columns + i, sum[j], n);
    });
  }
}

template <class T, class OpType>
Window<T> WindowOf(const OpType& op, const T* zeros) {
  return {op.x.data.template As<T>(),
          op.carry_in.template As<T>(),
          zeros,
          op.reset.template As<uint8_t>(),
          op.shape,
          op.x.stride};
}

// Of what all three have.
template <class OpType>
void CheckOperands(const OpType& op) {
  const ConvShape& shape = op.shape;
  KERNEL_CHECK(shape.steps >= 0 && shape.batch >= 0 && shape.width >= 0);
  KERNEL_CHECK(Holds(op.x, shape.steps * shape.batch, shape.width));
  KERNEL_CHECK(IsEmptyOrHolds(op.reset, shape.steps * shape.batch));
  KERNEL_CHECK(IsEmptyOrHolds(op.carry_in, CarrySize(shape)));
}

}  // namespace

void Run(Context& context, const ConvForward& op) {
  CheckOperands(op);
  KERNEL_CHECK(Holds(op.weight, kConvTaps * op.shape.width));
  KERNEL_CHECK(Holds(op.bias, op.shape.width));
  KERNEL_CHECK(Holds(op.y, Elements(op.shape)));
  KERNEL_CHECK(IsEmptyOrHolds(op.carry_out, CarrySize(op.shape)));
  Typed(op.y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const int64_t width = op.shape.width;
    const WeightRows<T> weight(context, op.weight.As<T>(), width);
    const Window<T> window = WindowOf<T>(op, weight.zeros());
    const T* bias = op.bias.As<T>();
    T* y = op.y.As<T>();
    const int64_t all = op.shape.steps * op.shape.batch;
    ParallelRows(context, all, width, [&](int64_t first, int64_t rows) {
      for (int64_t row = first; row < first + rows; ++row) {
        const Taps<T> taps = window.TapsOf(row);
        ForEachVector<T>(width, [&](int64_t i, int64_t n) {
          const Vec<T> z = PreActivation<T>(taps, weight, bias, i, n);
          StoreUpTo<T>(y + row * width + i, z * Sigmoid(z), n);
        });
      }
    });
    if (!op.carry_out.empty()) CarryForward<T>(window, op.carry_out.As<T>());
  });
}

void Run(Context& context, const ConvBackwardInput& op) {
  CheckOperands(op);
  KERNEL_CHECK(Holds(op.weight, kConvTaps * op.shape.width));
  KERNEL_CHECK(Holds(op.bias, op.shape.width));
  KERNEL_CHECK(Holds(op.dy, Elements(op.shape)));
  KERNEL_CHECK(IsEmptyOrHolds(op.dcarry_in, CarrySize(op.shape)));
  KERNEL_CHECK(Holds(op.dz, Elements(op.shape)));
  KERNEL_CHECK(Holds(op.dx, op.shape.steps * op.shape.batch, op.shape.width));
  KERNEL_CHECK(IsEmptyOrHolds(op.dcarry_out, CarrySize(op.shape)));
  Typed(op.dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const ConvShape& shape = op.shape;
    const int64_t width = shape.width, all = shape.steps * shape.batch;
    const WeightRows<T> weight(context, op.weight.As<T>(), width);
    const Window<T> window = WindowOf<T>(op, weight.zeros());
    const T* bias = op.bias.As<T>();
    const T* dy = op.dy.As<T>();
    const T* later = op.dcarry_in.As<T>();
    T* dz = op.dz.As<T>();
    T* dx = op.dx.data.As<T>();
    ParallelRows(context, all, width, [&](int64_t first, int64_t rows) {
      for (int64_t row = first; row < first + rows; ++row) {
        const Taps<T> taps = window.TapsOf(row);
        ForEachVector<T>(width, [&](int64_t i, int64_t n) {
          const Vec<T> z = PreActivation<T>(taps, weight, bias, i, n);
          const Vec<T> s = Sigmoid(z);
          const Vec<T> slope = s * Fma(z, T(1) - s, Splat<T>(1));
          StoreUpTo<T>(dz + row * width + i, LoadUpTo<T>(dy + row * width + i, n) * slope, n);
        });
      }
    });
    ParallelRows(context, all, width, [&](int64_t first, int64_t rows) {
      for (int64_t row = first; row < first + rows; ++row) {
        const Taps<T> ahead = RowsAhead<T>(shape, window.reset, dz, later, window.zeros, row);
        T* to = dx + row * op.dx.stride;
        ForEachVector<T>(width, [&](int64_t i, int64_t n) {
          Vec<T> sum = op.accumulate ? LoadUpTo<T>(to + i, n) : Splat<T>(0);
          for (int64_t j = 0; j < kConvTaps; ++j) {
            sum = Fma(weight.Of(kConvTaps - 1 - j, i, n), LoadUpTo<T>(ahead.of[j] + i, n), sum);
          }
          StoreUpTo<T>(to + i, sum, n);
        });
      }
    });
    if (!op.dcarry_out.empty()) {
      CarryBackward<T>(shape, window.reset, dz, later, window.zeros, op.dcarry_out.As<T>());
    }
  });
}

void Run(Context& context, const ConvBackwardWeight& op) {
  CheckOperands(op);
  KERNEL_CHECK(Holds(op.dz, Elements(op.shape)));
  KERNEL_CHECK(Holds(op.dweight, kConvTaps * op.shape.width));
  KERNEL_CHECK(Holds(op.dbias, op.shape.width));
  Typed(op.dz.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const int64_t width = op.shape.width;
    const T* dz = op.dz.As<T>();
    T* dweight = op.dweight.As<T>();
    T* dbias = op.dbias.As<T>();
    // One row of zeros, then the sums of the pieces, five rows each.
    T* scratch = static_cast<T*>(
        context.Scratch(0, Context::kOperation, (kConvTaps + 2) * width * sizeof(T)));
    std::memset(scratch, 0, width * sizeof(T));
    const Window<T> window = WindowOf<T>(op, scratch);
    ParallelColumns(context, width, [&](int64_t first, int64_t columns) {
      T* sums = scratch + width + (kConvTaps + 1) * first;
      for (int64_t i = 0; i < columns; ++i) {
        for (int64_t j = 0; j < kConvTaps; ++j) {
          sums[j * columns + i] = dweight[(first + i) * kConvTaps + j];
        }
        sums[kConvTaps * columns + i] = dbias[first + i];
      }
      ChainWeights<T>(window, dz, first, columns, sums);
      for (int64_t i = 0; i < columns; ++i) {
        for (int64_t j = 0; j < kConvTaps; ++j) {
          dweight[(first + i) * kConvTaps + j] = sums[j * columns + i];
        }
        dbias[first + i] = sums[kConvTaps * columns + i];
      }
    });
  });
}

}  // namespace carousel::kernels::CAROUSEL_ISA
