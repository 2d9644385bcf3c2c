// Linear maps by kernels/cpu/matmul.h; the bias gradient by plain columns of sums.

#include "kernels/cpu/matmul.h"
#include "kernels/cpu/run.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/typed.h"

namespace carousel::kernels::CAROUSEL_ISA {
namespace {

// sum[o] += dy[r, o] for r from the last row to the first.
template <class T>
void AddRowsFromTheLast(Context& context, const T* dy, int64_t dy_row, int64_t rows, int64_t out,
                        T* sum) {
  constexpr int64_t kTaskColumns = 64;
  Parallel(context, (out + kTaskColumns - 1) / kTaskColumns, [&](int64_t index, int) {
    const int64_t first = index * kTaskColumns;
    const int64_t size = out - first < kTaskColumns ? out - first : kTaskColumns;
    for (int64_t r = rows - 1; r >= 0; --r) {
      const T* row = dy + r * dy_row + first;
      ForEachVector<T>(size, [&](int64_t column, int64_t count) {
        T* to = sum + first + column;
        StoreUpTo<T>(to, LoadUpTo<T>(to, count) + LoadUpTo<T>(row + column, count), count);
      });
    }
  });
}

}  // namespace

void Run(Context& context, const LinearForward& op) {
  Typed(op.x.data.dtype(), [&](auto zero) {
    using T = decltype(zero);
    Product<T> product;
    product.m = op.rows;
    product.n = op.out;
    product.k = op.in;
    product.a = {op.x.data.As<T>(), op.x.stride, 1};
    product.b = {op.weight.As<T>(), 1, op.in};
    product.c = op.y.data.As<T>();
    product.c_row = op.y.stride;
    product.bias = op.bias.As<T>();
    product.residual = op.residual.data.As<T>();
    product.residual_row = op.residual.stride;
    MatMul(context, product);
  });
}

void Run(Context& context, const LinearBackwardInput& op) {
  Typed(op.dy.data.dtype(), [&](auto zero) {
    using T = decltype(zero);
    Product<T> product;
    product.m = op.rows;
    product.n = op.in;
    product.k = op.out;
    product.a = {op.dy.data.As<T>(), op.dy.stride, 1};
    product.b = {op.weight.As<T>(), op.in, 1};
    product.c = op.dx.data.As<T>();
    product.c_row = op.dx.stride;
    product.accumulate = op.accumulate;
    MatMul(context, product);
  });
}

void Run(Context& context, const LinearBackwardWeight& op) {
  if (op.rows == 0) return;
  Typed(op.x.data.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* x = op.x.data.As<T>();
    const T* dy = op.dy.data.As<T>();
    Product<T> product;
    product.m = op.out;
    product.n = op.in;
    product.k = op.rows;
    product.a = {dy + (op.rows - 1) * op.dy.stride, 1, -op.dy.stride};
    product.b = {x + (op.rows - 1) * op.x.stride, -op.x.stride, 1};
    product.c = op.dweight.As<T>();
    product.c_row = op.in;
    product.accumulate = true;
    MatMul(context, product);
    if (!op.dbias.empty()) {
      AddRowsFromTheLast(context, dy, op.dy.stride, op.rows, op.out, op.dbias.As<T>());
    }
  });
}

}  // namespace carousel::kernels::CAROUSEL_ISA
