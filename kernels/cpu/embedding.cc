#include "kernels/embedding.h"

#include "kernels/cpu/run.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/split.h"
#include "kernels/cpu/typed.h"

namespace carousel::kernels::CAROUSEL_ISA {

void Run(Context& context, const EmbeddingForward& op) {
  Typed(op.y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const int32_t* tokens = op.tokens.As<int32_t>();
    const T* table = op.table.As<T>();
    T* y = op.y.As<T>();
    ParallelRows(context, op.rows, op.width, [&](int64_t first, int64_t rows) {
      for (int64_t row = first; row < first + rows; ++row) {
        const int64_t entry = tokens[row] * op.width;
        KERNEL_CHECK(entry >= 0 && entry + op.width <= op.table.size());
        std::memcpy(y + row * op.width, table + entry, op.width * sizeof(T));
      }
    });
  });
}

void Run(Context& context, const EmbeddingBackwardWeight& op) {
  Typed(op.dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const int32_t* tokens = op.tokens.As<int32_t>();
    const T* dy = op.dy.As<T>();
    T* dtable = op.dtable.As<T>();
    ParallelColumns(context, op.width, [&](int64_t first, int64_t columns) {
      for (int64_t row = op.rows - 1; row >= 0; --row) {
        const T* from = dy + row * op.width + first;
        T* to = dtable + tokens[row] * op.width + first;
        ForEachVector<T>(columns, [&](int64_t i, int64_t n) {
          StoreUpTo<T>(to + i, LoadUpTo<T>(to + i, n) + LoadUpTo<T>(from + i, n), n);
        });
      }
    });
  });
}

}  // namespace carousel::kernels::CAROUSEL_ISA
