// Narrow linear maps, bound by memory: x is read once for all outputs.

#include "kernels/cpu/operands.h"
#include "kernels/cpu/row_sum.h"
#include "kernels/cpu/run.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/split.h"
#include "kernels/cpu/typed.h"

namespace carousel::kernels::CAROUSEL_ISA {
namespace {

// Outputs that are computed at a time: their chains hide the latency of a multiply-add.
constexpr int64_t kAbreast = 8;

// One output of a row: head h of i or f. Both lie [rows, heads].
template <class T>
struct Output {
  T* weight;  // [in]
  T* rows;    // its element of row r at rows[r * heads]
};

// Calls body(outputs, constant<count>) for all outputs, i's heads first, at most kAbreast at once.
template <class T, int64_t kCount = kAbreast, class Body>
void ForOutputs(const Output<T>* outputs, int64_t count, const Body& body) {
  for (; count >= kCount; count -= kCount, outputs += kCount) {
    body.template operator()<kCount>(outputs);
  }
  if constexpr (kCount > 1) {
    if (count > 0) ForOutputs<T, kCount / 2>(outputs, count, body);
  }
}

// The outputs of an operation, in the order of its sums.
template <class T>
class Outputs {
 public:
  Outputs(Context& context, const GateLinearShape& shape, const Span& wi, const Span& wf,
          const Span& i, const Span& f)
      : count_(2 * shape.heads),
        outputs_(static_cast<Output<T>*>(
            context.Scratch(0, Context::kOperation, count_ * sizeof(Output<T>)))) {
    KERNEL_CHECK(Holds(wi, shape.heads * shape.in));
    KERNEL_CHECK(Holds(wf, shape.heads * shape.in));
    KERNEL_CHECK(Holds(i, shape.rows * shape.heads));
    KERNEL_CHECK(Holds(f, shape.rows * shape.heads));
    for (int64_t h = 0; h < shape.heads; ++h) {
      outputs_[h] = {wi.As<T>() + h * shape.in, i.As<T>() + h};
      outputs_[shape.heads + h] = {wf.As<T>() + h * shape.in, f.As<T>() + h};
    }
  }

  template <class Body>
  void ForEach(const Body& body) const {
    ForOutputs<T>(outputs_, count_, body);
  }

 private:
  const int64_t count_;
  Output<T>* const outputs_;
};

// `lanes` rows of x, side by side in a vector: chains[n] goes on over all k.
template <class T, int64_t kCount>
[[gnu::always_inline]] inline void ChainsOverColumns(const T* x, int64_t stride, int64_t lanes,
                                                     int64_t in, const Output<T>* outputs,
                                                     Vec<T> (&chains)[kCount]) {
  constexpr int64_t kAhead = 4 * kLanes<T>;
  ForEachVector<T>(in, [&](int64_t k, int64_t count) {
    Vec<T> square[kLanes<T>];
#pragma GCC unroll 16
    for (int64_t r = 0; r < kLanes<T>; ++r) {
      square[r] = r < lanes ? LoadUpTo<T>(x + r * stride + k, count) : Splat<T>(0);
      __builtin_prefetch(x + r * stride + k + kAhead);
    }
    if constexpr (kLanes < T >> 1) Transpose(square);
    const auto step = [&](int64_t j) {
#pragma GCC unroll 8
      for (int64_t n = 0; n < kCount; ++n) {
        chains[n] = Fma(square[j], Splat<T>(outputs[n].weight[k + j]), chains[n]);
      }
    };
    if (count == kLanes<T>) {
#pragma GCC unroll 16
      for (int64_t j = 0; j < kLanes<T>; ++j) step(j);
    } else {
      for (int64_t j = 0; j < count; ++j) step(j);
    }
  });
}

// dx of one row and columns [first, first + columns): each a chain over the outputs.
template <class T, int64_t kCount>
[[gnu::always_inline]] inline void ChainsOverOutputs(const Output<T>* outputs, int64_t row,
                                                     int64_t heads, int64_t first, int64_t columns,
                                                     T* dx) {
  Vec<T> gradient[kCount];
#pragma GCC unroll 8
  for (int64_t n = 0; n < kCount; ++n) gradient[n] = Splat<T>(outputs[n].rows[row * heads]);
  ForEachVector<T>(columns, [&](int64_t k, int64_t count) {
    Vec<T> chain = LoadUpTo<T>(dx + k, count);
#pragma GCC unroll 8
    for (int64_t n = 0; n < kCount; ++n) {
      chain = Fma(gradient[n], LoadUpTo<T>(outputs[n].weight + first + k, count), chain);
    }
    StoreUpTo<T>(dx + k, chain, count);
  });
}

// The gradients of kCount weights at kVectors vectors of columns, the last of which may hold only
// `count`, over rows from `end - 1` down to `begin`.
template <class T, int64_t kCount, int64_t kVectors>
[[gnu::always_inline]] inline void ChainsOverRows(const T* x, int64_t stride, int64_t begin,
                                                  int64_t end, const Output<T>* outputs,
                                                  int64_t heads, int64_t column, int64_t count) {
  const auto valid = [&](int64_t v) { return v + 1 < kVectors ? kLanes<T> : count; };
  Vec<T> chain[kCount][kVectors];
#pragma GCC unroll 8
  for (int64_t n = 0; n < kCount; ++n) {
#pragma GCC unroll 2
    for (int64_t v = 0; v < kVectors; ++v) {
      chain[n][v] = LoadUpTo<T>(outputs[n].weight + column + v * kLanes<T>, valid(v));
    }
  }
  for (int64_t r = end - 1; r >= begin; --r) {
    Vec<T> of_row[kVectors];
#pragma GCC unroll 2
    for (int64_t v = 0; v < kVectors; ++v) {
      of_row[v] = LoadUpTo<T>(x + r * stride + column + v * kLanes<T>, valid(v));
    }
#pragma GCC unroll 8
    for (int64_t n = 0; n < kCount; ++n) {
      const Vec<T> gradient = Splat<T>(outputs[n].rows[r * heads]);
#pragma GCC unroll 2
      for (int64_t v = 0; v < kVectors; ++v) chain[n][v] = Fma(gradient, of_row[v], chain[n][v]);
    }
  }
#pragma GCC unroll 8
  for (int64_t n = 0; n < kCount; ++n) {
#pragma GCC unroll 2
    for (int64_t v = 0; v < kVectors; ++v) {
      StoreUpTo<T>(outputs[n].weight + column + v * kLanes<T>, chain[n][v], valid(v));
    }
  }
}

}  // namespace

void Run(Context& context, const GateLinearForward& op) {
  KERNEL_CHECK(Holds(op.x, op.shape.rows, op.shape.in));
  KERNEL_CHECK(Holds(op.bi, op.shape.heads));
  KERNEL_CHECK(Holds(op.bf, op.shape.heads));
  Typed(op.x.data.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const int64_t rows = op.shape.rows, in = op.shape.in, heads = op.shape.heads;
    const Outputs<T> outputs(context, op.shape, op.wi, op.wf, op.i, op.f);
    const T* x = op.x.data.As<T>();
    const T* bi = op.bi.As<T>();
    const T* bf = op.bf.As<T>();
    T* i = op.i.As<T>();
    T* f = op.f.As<T>();
    ParallelPieces(context, rows, kLanes<T>, [&](int64_t row, int64_t lanes) {
      outputs.ForEach([&]<int64_t kCount>(const Output<T>* group) {
        Vec<T> chains[kCount] = {};
        ChainsOverColumns<T, kCount>(x + row * op.x.stride, op.x.stride, lanes, in, group, chains);
        for (int64_t n = 0; n < kCount; ++n) {
          T of_rows[kLanes<T>];
          Store<T>(of_rows, chains[n]);
          for (int64_t r = 0; r < lanes; ++r) group[n].rows[(row + r) * heads] = of_rows[r];
        }
      });
      for (int64_t r = row; r < row + lanes; ++r) {
        for (int64_t h = 0; h < heads; ++h) {
          i[r * heads + h] = i[r * heads + h] + bi[h];
          f[r * heads + h] = f[r * heads + h] + bf[h];
        }
      }
    });
  });
}

void Run(Context& context, const GateLinearBackwardInput& op) {
  KERNEL_CHECK(Holds(op.dx, op.shape.rows, op.shape.in));
  Typed(op.dx.data.dtype(), [&](auto zero) {
    using T = decltype(zero);
    // Weights of so many columns stay in the first-level cache while rows go by.
    constexpr int64_t kColumns = 256, kRows = 64;
    const int64_t rows = op.shape.rows, in = op.shape.in, heads = op.shape.heads;
    const Outputs<T> outputs(context, op.shape, op.wi, op.wf, op.di, op.df);
    T* dx = op.dx.data.As<T>();
    ParallelPieces(context, rows, kRows, [&](int64_t first_row, int64_t count) {
      for (int64_t column = 0; column < in; column += kColumns) {
        const int64_t columns = Min(kColumns, in - column);
        for (int64_t row = first_row; row < first_row + count; ++row) {
          outputs.ForEach([&]<int64_t kCount>(const Output<T>* group) {
            ChainsOverOutputs<T, kCount>(group, row, heads, column, columns,
                                         dx + row * op.dx.stride + column);
          });
        }
      }
    });
  });
}

void Run(Context& context, const GateLinearBackwardWeight& op) {
  KERNEL_CHECK(Holds(op.x, op.shape.rows, op.shape.in));
  KERNEL_CHECK(Holds(op.dbi, op.shape.heads));
  KERNEL_CHECK(Holds(op.dbf, op.shape.heads));
  Typed(op.x.data.dtype(), [&](auto zero) {
    using T = decltype(zero);
    constexpr int64_t kRows = 32;  // read along, a block at a time
    constexpr int64_t kVectors = kLanes<T> * sizeof(T) == 64 ? 2 : 1;
    const int64_t rows = op.shape.rows, in = op.shape.in, heads = op.shape.heads;
    const Outputs<T> outputs(context, op.shape, op.dwi, op.dwf, op.di, op.df);
    const T* x = op.x.data.As<T>();
    ParallelColumns(context, in, [&](int64_t first, int64_t columns) {
      for (int64_t end = rows; end > 0; end -= kRows) {
        const int64_t begin = Max<int64_t>(0, end - kRows);
        int64_t column = first;
        const auto chains = [&]<int64_t kWide>(int64_t count) {
          outputs.ForEach([&]<int64_t kCount>(const Output<T>* group) {
            ChainsOverRows<T, kCount, kWide>(x, op.x.stride, begin, end, group, heads, column,
                                             count);
          });
        };
        for (; column + kVectors * kLanes<T> <= first + columns; column += kVectors * kLanes<T>) {
          chains.template operator()<kVectors>(kLanes<T>);
        }
        for (; column < first + columns; column += kLanes<T>) {
          chains.template operator()<1>(Min(kLanes<T>, first + columns - column));
        }
      }
    });
    AddRowsFromTheLast(op.di.As<T>(), heads, rows, heads, op.dbi.As<T>());
    AddRowsFromTheLast(op.df.As<T>(), heads, rows, heads, op.dbf.As<T>());
  });
}

}  // namespace carousel::kernels::CAROUSEL_ISA
