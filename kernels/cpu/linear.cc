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
    MatMul<T>(context, {.m = op.rows,
                        .n = op.out,
                        .k = op.in,
                        .a = Rows(op.x.data.As<T>(), op.x.stride),
                        .b = Transposed(Rows(op.weight.As<T>(), op.in)),
                        .c = op.y.data.As<T>(),
                        .c_row = op.y.stride,
                        .bias = op.bias.As<T>(),
                        .residual = op.residual.data.As<T>(),
                        .residual_row = op.residual.stride});
  });
}

void Run(Context& context, const LinearBackwardInput& op) {
  KERNEL_CHECK(Holds(op.dy, op.rows, op.out));
  KERNEL_CHECK(Holds(op.weight, op.out * op.in));
  KERNEL_CHECK(Holds(op.dx, op.rows, op.in));
  Typed(op.dy.data.dtype(), [&](auto zero) {
    using T = decltype(zero);
    MatMul<T>(context, {.m = op.rows,
                        .n = op.in,
                        .k = op.out,
                        .a = Rows(op.dy.data.As<T>(), op.dy.stride),
                        .b = Rows(op.weight.As<T>(), op.in),
                        .c = op.dx.data.As<T>(),
                        .c_row = op.dx.stride,
                        .accumulate = op.accumulate});
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
    MatMul<T>(context, {.m = op.out,
                        .n = op.in,
                        .k = op.rows,
                        .a = Transposed(RowsFromTheLast(dy, op.rows, op.dy.stride)),
                        .b = RowsFromTheLast(x, op.rows, op.x.stride),
                        .c = op.dweight.As<T>(),
                        .c_row = op.in,
                        .accumulate = true});
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
