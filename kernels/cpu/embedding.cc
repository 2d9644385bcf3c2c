#include "kernels/embedding.h"

#include "kernels/cpu/operands.h"
#include "kernels/cpu/run.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/split.h"
#include "kernels/cpu/typed.h"

namespace carousel::kernels::CAROUSEL_ISA {
namespace {

// Before anything is read or written: every token has its row in a table of `elements`.
void CheckTokens(const Span& tokens, int64_t rows, int64_t width, int64_t elements) {
  KERNEL_CHECK(width > 0);
  KERNEL_CHECK(Holds(tokens, rows));
  const int32_t* token = tokens.As<int32_t>();
  for (int64_t row = 0; row < rows; ++row) {
    KERNEL_CHECK(token[row] >= 0 && token[row] < elements / width);
  }
}

}  // namespace

void Run(Context& context, const EmbeddingForward& op) {
  CheckTokens(op.tokens, op.rows, op.width, op.table.size());
  KERNEL_CHECK(Holds(op.y, op.rows * op.width));
  Typed(op.y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const int32_t* tokens = op.tokens.As<int32_t>();
    const T* table = op.table.As<T>();
    T* y = op.y.As<T>();
    ParallelRows(context, op.rows, op.width, [&](int64_t first, int64_t rows) {
      for (int64_t row = first; row < first + rows; ++row) {
        std::memcpy(y + row * op.width, table + tokens[row] * op.width, op.width * sizeof(T));
      }
    });
  });
}

void Run(Context& context, const EmbeddingBackwardWeight& op) {
  CheckTokens(op.tokens, op.rows, op.width, op.dtable.size());
  KERNEL_CHECK(Holds(op.dy, op.rows * op.width));
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
