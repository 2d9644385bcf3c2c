// Block-diagonal linear maps. Blocks of four, the q, k, v of the 2024 family, fill vectors that
// hold several blocks; others are products, one a block.

#include "kernels/cpu/math.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/operands.h"
#include "kernels/cpu/run.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/typed.h"

namespace carousel::kernels::CAROUSEL_ISA {
namespace {

constexpr int64_t kFour = 4;
constexpr int64_t kTaskRows = 32;

#if defined(CAROUSEL_ISA_SCALAR)

// to[n * 4 + i] = start + sum_j from[n * 4 + j] w[j][n * 4 + i], j ascending.
template <class T>
void MapFours(const T* from, const T* w, int64_t width, bool accumulate, T* to) {
  for (int64_t c = 0; c < width; ++c) {
    T chain = accumulate ? to[c] : T(0);
    for (int64_t j = 0; j < kFour; ++j) {
      chain = Fma(from[c / kFour * kFour + j], w[j * width + c], chain);
    }
    to[c] = chain;
  }
}

template <class T>
void MapRowsOfFours(const T* from, int64_t from_row, const T* w, int64_t rows, int64_t width,
                    bool accumulate, T* to, int64_t to_row) {
  for (int64_t r = 0; r < rows; ++r) {
    MapFours(from + r * from_row, w, width, accumulate, to + r * to_row);
  }
}

// dweight[n, o, k] += sum_r dy[r, n * 4 + o] x[r, n * 4 + k] for columns [0, width), from the last
// row.
template <class T>
void WeightOfFours(const T* x, int64_t x_row, const T* dy, int64_t dy_row, int64_t rows,
                   int64_t width, T* dweight) {
  for (int64_t i = 0; i < width * kFour; ++i) {
    const int64_t n = i / (kFour * kFour), o = i / kFour % kFour, k = i % kFour;
    T chain = dweight[i];
    for (int64_t r = rows - 1; r >= 0; --r) {
      chain = Fma(dy[r * dy_row + n * kFour + o], x[r * x_row + n * kFour + k], chain);
    }
    dweight[i] = chain;
  }
}

#else

template <class T>
[[gnu::always_inline]] inline Vec<T> MapFours(Vec<T> from, const Vec<T> (&w)[kFour], Vec<T> chain) {
  chain = Fma(SplatInFours<0>(from), w[0], chain);
  chain = Fma(SplatInFours<1>(from), w[1], chain);
  chain = Fma(SplatInFours<2>(from), w[2], chain);
  return Fma(SplatInFours<3>(from), w[3], chain);
}

// to[n * 4 + i] = start + sum_j from[n * 4 + j] w[j][n * 4 + i], j ascending.
template <class T>
void MapRowsOfFours(const T* from, int64_t from_row, const T* w, int64_t rows, int64_t width,
                    bool accumulate, T* to, int64_t to_row) {
  constexpr int64_t kAbreast = 4;  // rows read along: what the weights cost is shared
  for (int64_t first = 0; first < rows; first += kAbreast) {
    const int64_t last = Min(rows, first + kAbreast);
    ForEachVector<T>(width, [&](int64_t column, int64_t count) {
      Vec<T> w_vector[kFour];
      for (int64_t j = 0; j < kFour; ++j) {
        w_vector[j] = LoadUpTo<T>(w + j * width + column, count);
      }
      for (int64_t r = first; r < last; ++r) {
        T* y = to + r * to_row + column;
        const Vec<T> start = accumulate ? LoadUpTo<T>(y, count) : Splat<T>(0);
        const Vec<T> x = LoadUpTo<T>(from + r * from_row + column, count);
        StoreUpTo<T>(y, MapFours<T>(x, w_vector, start), count);
      }
    });
  }
}

// dweight[n, o, k] += sum_r dy[r, n * 4 + o] x[r, n * 4 + k] from the last row, for kVectors
// vectors of columns, the last of which may hold only `count`.
template <class T, int kVectors>
void WeightOfSomeFours(const T* x, int64_t x_row, const T* dy, int64_t dy_row, int64_t rows,
                       int64_t count, T* dweight) {
  constexpr int64_t kAhead = 8;  // rows
  // chain[v][o] holds (n, k) as x does.
  Vec<T> chain[kVectors][kFour];
  const auto for_each_four = [&](const auto& body) {
    for (int64_t v = 0; v < kVectors; ++v) {
      const int64_t lanes = v + 1 < kVectors ? kLanes<T> : count;
      for (int64_t n = 0; n < lanes / kFour; ++n) {
        for (int64_t o = 0; o < kFour; ++o) {
          body(v, n * kFour, o, dweight + ((v * kLanes<T> / kFour + n) * kFour + o) * kFour);
        }
      }
    }
  };
  T lanes[kVectors][kFour][kLanes<T>] = {};
  for_each_four([&](int64_t v, int64_t lane, int64_t o, T* four) {
    std::memcpy(&lanes[v][o][lane], four, kFour * sizeof(T));
  });
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
#pragma GCC unroll 4
    for (int o = 0; o < kFour; ++o) chain[v][o] = Load<T>(lanes[v][o]);
  }
  for (int64_t r = rows - 1; r >= 0; --r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const int64_t valid = v + 1 < kVectors ? kLanes<T> : count;
      const T* x_at = x + r * x_row + v * kLanes<T>;
      const T* dy_at = dy + r * dy_row + v * kLanes<T>;
      __builtin_prefetch(x_at - kAhead * x_row);
      __builtin_prefetch(dy_at - kAhead * dy_row);
      const Vec<T> x_vector = LoadUpTo<T>(x_at, valid);
      const Vec<T> dy_vector = LoadUpTo<T>(dy_at, valid);
      chain[v][0] = Fma(SplatInFours<0>(dy_vector), x_vector, chain[v][0]);
      chain[v][1] = Fma(SplatInFours<1>(dy_vector), x_vector, chain[v][1]);
      chain[v][2] = Fma(SplatInFours<2>(dy_vector), x_vector, chain[v][2]);
      chain[v][3] = Fma(SplatInFours<3>(dy_vector), x_vector, chain[v][3]);
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
#pragma GCC unroll 4
    for (int o = 0; o < kFour; ++o) Store<T>(lanes[v][o], chain[v][o]);
  }
  for_each_four([&](int64_t v, int64_t lane, int64_t o, T* four) {
    std::memcpy(four, &lanes[v][o][lane], kFour * sizeof(T));
  });
}

// The same for columns [0, width).
template <class T>
void WeightOfFours(const T* x, int64_t x_row, const T* dy, int64_t dy_row, int64_t rows,
                   int64_t width, T* dweight) {
  constexpr int kVectors = 2;
  int64_t column = 0;
  for (; column + kVectors * kLanes<T> <= width; column += kVectors * kLanes<T>) {
    WeightOfSomeFours<T, kVectors>(x + column, x_row, dy + column, dy_row, rows, kLanes<T>,
                                   dweight + column * kFour);
  }
  for (; column < width; column += kLanes<T>) {
    WeightOfSomeFours<T, 1>(x + column, x_row, dy + column, dy_row, rows,
                            Min(width - column, kLanes<T>), dweight + column * kFour);
  }
}

#endif

template <class Op>
bool IsFours(const Op& op) {
  return op.in == kFour && op.out == kFour;
}

// Forward sums over k (`transpose`: element j of the sum is w[n, i, j]), backward over o.
template <class T>
void MapAllFours(Context& context, const Matrix& from, const T* weight, bool transpose,
                 int64_t rows, int64_t blocks, bool accumulate, const Matrix& to) {
  const int64_t width = blocks * kFour;
  T* w = static_cast<T*>(context.Scratch(0, Context::kOperation, kFour * width * sizeof(T)));
  for (int64_t n = 0; n < blocks; ++n) {
    for (int64_t i = 0; i < kFour; ++i) {
      for (int64_t j = 0; j < kFour; ++j) {
        w[j * width + n * kFour + i] =
            weight[(n * kFour + (transpose ? i : j)) * kFour + (transpose ? j : i)];
      }
    }
  }
  const T* from_data = from.data.As<T>();
  T* to_data = to.data.As<T>();
  Parallel(context, (rows + kTaskRows - 1) / kTaskRows, [&](int64_t index, int) {
    const int64_t row = index * kTaskRows;
    MapRowsOfFours(from_data + row * from.stride, from.stride, w, Min(kTaskRows, rows - row), width,
                   accumulate, to_data + row * to.stride, to.stride);
  });
}

}  // namespace

void Run(Context& context, const BlockLinearForward& op) {
  KERNEL_CHECK(Holds(op.x, op.rows, op.blocks * op.in));
  KERNEL_CHECK(Holds(op.weight, op.blocks * op.out * op.in));
  KERNEL_CHECK(Holds(op.y, op.rows, op.blocks * op.out));
  Typed(op.x.data.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* weight = op.weight.As<T>();
    if (IsFours(op)) {
      return MapAllFours(context, op.x, weight, true, op.rows, op.blocks, false, op.y);
    }
    MatMul<T>(context, {.m = op.rows,
                        .n = op.out,
                        .k = op.in,
                        .a = Rows(op.x.data.As<T>(), op.x.stride),
                        .b = Transposed(Rows(weight, op.in)),
                        .c = op.y.data.As<T>(),
                        .c_row = op.y.stride,
                        .count = op.blocks,
                        .a_next = op.in,
                        .b_next = op.out * op.in,
                        .c_next = op.out});
  });
}

void Run(Context& context, const BlockLinearBackwardInput& op) {
  KERNEL_CHECK(Holds(op.dy, op.rows, op.blocks * op.out));
  KERNEL_CHECK(Holds(op.weight, op.blocks * op.out * op.in));
  KERNEL_CHECK(Holds(op.dx, op.rows, op.blocks * op.in));
  Typed(op.dy.data.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* weight = op.weight.As<T>();
    if (IsFours(op)) {
      return MapAllFours(context, op.dy, weight, false, op.rows, op.blocks, op.accumulate, op.dx);
    }
    MatMul<T>(context, {.m = op.rows,
                        .n = op.in,
                        .k = op.out,
                        .a = Rows(op.dy.data.As<T>(), op.dy.stride),
                        .b = Rows(weight, op.in),
                        .c = op.dx.data.As<T>(),
                        .c_row = op.dx.stride,
                        .accumulate = op.accumulate,
                        .count = op.blocks,
                        .a_next = op.out,
                        .b_next = op.out * op.in,
                        .c_next = op.in});
  });
}

void Run(Context& context, const BlockLinearBackwardWeight& op) {
  KERNEL_CHECK(Holds(op.x, op.rows, op.blocks * op.in));
  KERNEL_CHECK(Holds(op.dy, op.rows, op.blocks * op.out));
  KERNEL_CHECK(Holds(op.dweight, op.blocks * op.out * op.in));
  if (op.rows == 0) return;
  Typed(op.x.data.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* x = op.x.data.As<T>();
    const T* dy = op.dy.data.As<T>();
    T* dweight = op.dweight.As<T>();
    if (IsFours(op)) {
      constexpr int64_t kTaskColumns = 64;
      const int64_t width = op.blocks * kFour;
      Parallel(context, (width + kTaskColumns - 1) / kTaskColumns, [&](int64_t index, int) {
        const int64_t column = index * kTaskColumns;
        WeightOfFours(x + column, op.x.stride, dy + column, op.dy.stride, op.rows,
                      Min(kTaskColumns, width - column), dweight + column * kFour);
      });
      return;
    }
    MatMul<T>(context, {.m = op.out,
                        .n = op.in,
                        .k = op.rows,
                        .a = Transposed(RowsFromTheLast(dy, op.rows, op.dy.stride)),
                        .b = RowsFromTheLast(x, op.rows, op.x.stride),
                        .c = dweight,
                        .c_row = op.in,
                        .accumulate = true,
                        .count = op.blocks,
                        .a_next = op.out,
                        .b_next = op.in,
                        .c_next = op.out * op.in});
  });
}

}  // namespace carousel::kernels::CAROUSEL_ISA
