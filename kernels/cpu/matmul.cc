#include "kernels/cpu/matmul.h"

#include "kernels/check.h"

namespace carousel::kernels::CAROUSEL_ISA {
namespace {
// Sizes of blocks; none of them changes a bit. A tile costs some hundred cycles to begin and end,
// and C has to be read and written once a block of k, so a block of k is as long as an A block of
// few panels and two panels of B in the L2 cache allow.
constexpr int64_t kBlockK = 1024;
constexpr int64_t kBlockRows = 4 * kTileRows;               // of A
constexpr int64_t kBlockColumns = 4 * kTileColumns<float>;  // of B, packed at a time
constexpr int64_t kTaskRows = 292 * kTileRows;
constexpr int64_t kTaskColumns = 2048;

int64_t Min(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// [First(i), First(i + 1)) are `parts` nearly equal parts of [0, size).
struct Split {
  Split(int64_t size, int64_t largest) : size(size), parts(CeilDiv(size, largest)) {}
  int64_t First(int64_t i) const { return i * size / parts; }

  int64_t size, parts;
};

// Rows [row, row + rows) and columns [column, column + columns) of C, all of k.
template <class T>
struct Task {
  int64_t row, rows, column, columns;
};

template <class T>
class TaskRunner {
 public:
  TaskRunner(Context& context, int thread, const Product<T>& product, const Task<T>& task)
      : product_(product),
        task_(task),
        k_split_(product.k > 0 ? product.k : 1, kBlockK),
        row_split_(task.rows, kBlockRows) {
    const int64_t block_k = CeilDiv(product.k, k_split_.parts);
    const int64_t block_rows = CeilDiv(task.rows, row_split_.parts);
    const auto scratch = [&](Context::Slot slot, int64_t size) {
      return static_cast<T*>(context.Scratch(thread, slot, size * sizeof(T)));
    };
    packed_a_ = scratch(Context::kPackA, PackedRowsSize(block_rows, block_k));
    packed_b_ = scratch(Context::kPackB, PackedColumnsSize<T>(block_k, task.columns));
    if (product.residual != nullptr && k_split_.parts > 1) {
      unfinished_ = scratch(Context::kMatmul, task.rows * task.columns);
    }
  }

  void Run() {
    for (int64_t k_block = 0; k_block < k_split_.parts; ++k_block) {
      for (int64_t row_block = 0; row_block < row_split_.parts; ++row_block) {
        RunBlock(k_block, row_block);
      }
    }
  }

 private:
  void RunBlock(int64_t k_block, int64_t row_block) {
    const int64_t first_k = product_.k > 0 ? k_split_.First(k_block) : 0;
    const int64_t k = product_.k > 0 ? k_split_.First(k_block + 1) - first_k : 0;
    const int64_t first_row = row_split_.First(row_block);
    const int64_t rows = row_split_.First(row_block + 1) - first_row;
    Strided<T> a = product_.a;
    a.data += (task_.row + first_row) * a.row + first_k * a.column;
    PackRows(a, rows, k, packed_a_);
    // B is packed when it is first used, and used while it is in cache.
    const int64_t at_once = row_block == 0 ? kBlockColumns : task_.columns;
    for (int64_t column = 0; column < task_.columns; column += at_once) {
      const int64_t columns = Min(task_.columns - column, at_once);
      T* packed_b = packed_b_ + column * k;
      if (row_block == 0) {
        Strided<T> b = product_.b;
        b.data += first_k * b.row + (task_.column + column) * b.column;
        PackColumns(b, k, columns, packed_b);
      }
      MultiplyPacked(rows, k, columns, packed_a_, packed_b, Ends(k_block, first_row, column));
    }
  }

  // A residual that is c itself must not be overwritten before the last block of k: unfinished
  // chains wait elsewhere.
  ChainEnds<T> Ends(int64_t k_block, int64_t first_row, int64_t column) const {
    const int64_t c_row = task_.row + first_row, c_column = task_.column + column;
    T* c = product_.c + c_row * product_.c_row + c_column;
    T* waiting = c;
    int64_t waiting_row = product_.c_row;
    if (unfinished_ != nullptr) {
      waiting = unfinished_ + first_row * task_.columns + column;
      waiting_row = task_.columns;
    }
    ChainEnds<T> ends;
    if (k_block > 0 || product_.accumulate) {
      ends.from = waiting;
      ends.from_row = waiting_row;
    }
    ends.to = waiting;
    ends.to_row = waiting_row;
    if (k_block + 1 == k_split_.parts) {
      ends.to = c;
      ends.to_row = product_.c_row;
      if (product_.bias != nullptr) ends.bias = product_.bias + c_column;
      if (product_.residual != nullptr) {
        ends.residual = product_.residual + c_row * product_.residual_row + c_column;
        ends.residual_row = product_.residual_row;
      }
    }
    return ends;
  }

  const Product<T>& product_;
  const Task<T> task_;
  const Split k_split_, row_split_;
  T* packed_a_ = nullptr;    // [block of rows, block of k]
  T* packed_b_ = nullptr;    // [block of k, columns of the task]
  T* unfinished_ = nullptr;  // [rows, columns] of the task
};

template <class T>
Product<T> Nth(const Product<T>& product, int64_t index) {
  Product<T> nth = product;
  nth.a.data += index * product.a_next;
  nth.b.data += index * product.b_next;
  nth.c += index * product.c_next;
  nth.count = 1;
  return nth;
}

template <class T>
void Check(const Product<T>& product) {
  KERNEL_CHECK(product.m >= 0 && product.n >= 0 && product.k >= 0);
  KERNEL_CHECK(!product.accumulate || product.residual == nullptr);
  KERNEL_CHECK(product.count == 1 || (product.bias == nullptr && product.residual == nullptr));
}

// A task per block of C. For several threads the blocks are halved until each thread gets a few, so
// that a thread that is held up does not hold up the rest; small blocks pack more than they gain.
template <class T>
void ChooseTaskSize(const Product<T>& product, int threads, int64_t* rows, int64_t* columns) {
  constexpr int64_t kLeastRows = 9 * kTileRows, kLeastColumns = 64;
  *rows = Min(product.m, kTaskRows);
  *columns = Min(product.n, kTaskColumns);
  if (threads == 1) return;
  while (product.count * CeilDiv(product.m, *rows) * CeilDiv(product.n, *columns) < 4 * threads) {
    const bool rows_can = *rows >= 2 * kLeastRows, columns_can = *columns >= 2 * kLeastColumns;
    if (!rows_can && !columns_can) return;
    if (rows_can && (*rows >= *columns || !columns_can)) {
      *rows = CeilDiv(*rows, 2);
    } else {
      *columns = CeilDiv(*columns, 2);
    }
  }
}

}  // namespace

template <class T>
void MatMul(Context& context, const Product<T>& product) {
  Check(product);
  if (product.m == 0 || product.n == 0 || product.count == 0) return;
  int64_t largest_rows, largest_columns;
  ChooseTaskSize(product, context.threads(), &largest_rows, &largest_columns);
  const Split rows(product.m, largest_rows), columns(product.n, largest_columns);
  Parallel(context, product.count * rows.parts * columns.parts, [&](int64_t index, int thread) {
    const int64_t row_part = index % rows.parts, rest = index / rows.parts;
    const int64_t column_part = rest % columns.parts;
    const Product<T> nth = Nth(product, rest / columns.parts);
    const int64_t row = rows.First(row_part), column = columns.First(column_part);
    const Task<T> task = {row, rows.First(row_part + 1) - row, column,
                          columns.First(column_part + 1) - column};
    TaskRunner<T>(context, thread, nth, task).Run();
  });
}

template <class T>
void MatMulOnThread(Context& context, int thread, const Product<T>& product) {
  Check(product);
  KERNEL_CHECK(product.count == 1);
  const Split rows(product.m, kTaskRows), columns(product.n, kTaskColumns);
  for (int64_t i = 0; i < rows.parts; ++i) {
    for (int64_t j = 0; j < columns.parts; ++j) {
      const Task<T> task = {rows.First(i), rows.First(i + 1) - rows.First(i), columns.First(j),
                            columns.First(j + 1) - columns.First(j)};
      TaskRunner<T>(context, thread, product, task).Run();
    }
  }
}

template void MatMul(Context&, const Product<float>&);
template void MatMul(Context&, const Product<double>&);
template void MatMulOnThread(Context&, int, const Product<float>&);
template void MatMulOnThread(Context&, int, const Product<double>&);

}  // namespace carousel::kernels::CAROUSEL_ISA
