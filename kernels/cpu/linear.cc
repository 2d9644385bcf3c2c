// Linear maps by kernels/cpu/matmul.h.

#include "kernels/cpu/matmul.h"
#include "kernels/cpu/operands.h"
#include "kernels/cpu/row_sum.h"
#include "kernels/cpu/run.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/typed.h"

namespace carousel::kernels::CAROUSEL_ISA {

void Run(Context& context, const LinearForward& op) {
  KERNEL_CHECK(Holds(op.x, op.rows, op.in));
  KERNEL_CHECK(Holds(op.weight, op.out * op.in));
  KERNEL_CHECK(IsEmptyOrHolds(op.bias, op.out));
  KERNEL_CHECK(op.residual.data.empty() || Holds(op.residual, op.rows, op.out));
  KERNEL_CHECK(Holds(op.y, op.rows, op.out));
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
  KERNEL_CHECK(Holds(op.dy, op.rows, op.out));
  KERNEL_CHECK(Holds(op.weight, op.out * op.in));
  KERNEL_CHECK(Holds(op.dx, op.rows, op.in));
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
  KERNEL_CHECK(Holds(op.x, op.rows, op.in));
  KERNEL_CHECK(Holds(op.dy, op.rows, op.out));
  KERNEL_CHECK(Holds(op.dweight, op.out * op.in));
  KERNEL_CHECK(IsEmptyOrHolds(op.dbias, op.out));
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
      constexpr int64_t kTaskColumns = 64;
      T* dbias = op.dbias.As<T>();
      Parallel(context, (op.out + kTaskColumns - 1) / kTaskColumns, [&](int64_t index, int) {
        const int64_t first = index * kTaskColumns;
        const int64_t columns = op.out - first < kTaskColumns ? op.out - first : kTaskColumns;
        AddRowsFromTheLast(dy + first, op.dy.stride, op.rows, columns, dbias + first);
      });
    }
  });
}

}  // namespace carousel::kernels::CAROUSEL_ISA
