#include "kernels/cpu/matmul.h"

#include "kernels/check.h"
#include "kernels/cpu/block_sizes.h"
#include "kernels/cpu/countdown.h"
#include "kernels/cpu/math.h"

namespace carousel::kernels::CAROUSEL_ISA {
namespace {

constexpr int64_t kBlockRows = 4 * kTileRows;  // of A, packed by the thread that multiplies them

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// [First(i), First(i + 1)) are `parts` nearly equal parts of [0, size), cut at multiples of `unit`.
struct Split {
  Split(int64_t size, int64_t parts, int64_t unit = 1)
      : size(size), units(CeilDiv(size, unit)), parts(Max<int64_t>(1, parts)), unit(unit) {}
  int64_t First(int64_t i) const { return Min(size, i * units / parts * unit); }
  int64_t Size(int64_t i) const { return First(i + 1) - First(i); }
  int64_t largest() const { return CeilDiv(units, parts) * unit; }

  int64_t size, units, parts, unit;
};

// What is computed between two meetings of the threads: some columns of every product, over one
// block of k. The first tasks pack B. Each other packs a block of rows of A and multiplies it with
// all of B, or with a piece of B where there are too few blocks of rows for the threads.
template <class T>
class Slab {
 public:
  struct Range {
    int64_t first, size;
  };

  Slab(Context& context, const Product<T>& product, Range columns, Range k)
      : context_(context),
        product_(product),
        columns_(columns),
        k_(k),
        packs_(columns.size, CeilDiv(columns.size, kPackColumns), kTileColumns<T>),
        rows_(product.m, RowParts()),
        pieces_(columns.size, PieceParts(), kTileColumns<T>),
        packed_size_(PackedColumnsSize<T>(k.size, columns.size)),
        packed_(product.count * packs_.parts) {
    packed_b_ = Scratch(0, Context::kPackB, product.count * packed_size_);
    if (product.residual != nullptr && k.size < product.k) {
      unfinished_ = Scratch(0, Context::kMatmul, product.m * columns.size);
    }
  }

  void Run() {
    const int64_t packs = product_.count * packs_.parts;
    const int64_t blocks = product_.count * rows_.parts * pieces_.parts;
    Parallel(context_, packs + blocks, [&](int64_t task, int thread) {
      if (task < packs) {
        Pack(task / packs_.parts, task % packs_.parts);
        packed_.Done();
      } else {
        packed_.Wait();
        Multiply(task - packs, thread);
      }
    });
  }

 private:
  // Columns of B that a task packs, and the fewest that are worth an A block of their own.
  static constexpr int64_t kPackColumns = 4 * kTileColumns<float>;
  // Tasks for each thread, so that one that is held up does not hold up the rest.
  static constexpr int64_t kTasks = 4;

  // As many for each thread, if there are enough of them.
  int64_t RowParts() const {
    const int64_t parts = CeilDiv(product_.m, kBlockRows), threads = context_.threads();
    return parts * product_.count < threads ? parts : CeilDiv(parts, threads) * threads;
  }
  int64_t PieceParts() const {
    const int64_t blocks = product_.count * rows_.parts;
    return Min(CeilDiv(kTasks * context_.threads(), blocks), CeilDiv(columns_.size, kPackColumns));
  }

  T* Scratch(int thread, Context::Slot slot, int64_t size) const {
    return static_cast<T*>(context_.Scratch(thread, slot, size * sizeof(T)));
  }

  void Pack(int64_t index, int64_t pack) {
    const int64_t column = packs_.First(pack);
    Strided<T> b = product_.b;
    b.data += index * product_.b_next + k_.first * b.row + (columns_.first + column) * b.column;
    PackColumns(b, k_.size, packs_.Size(pack), packed_b_ + index * packed_size_ + column * k_.size);
  }

  void Multiply(int64_t task, int thread) {
    const int64_t piece = task % pieces_.parts;
    const int64_t block = task / pieces_.parts % rows_.parts;
    const int64_t index = task / pieces_.parts / rows_.parts;
    const int64_t row = rows_.First(block), rows = rows_.Size(block);
    Strided<T> a = product_.a;
    a.data += index * product_.a_next + row * a.row + k_.first * a.column;
    T* packed_a = Scratch(thread, Context::kPackA, PackedRowsSize(rows_.largest(), k_.size));
    PackRows(a, rows, k_.size, packed_a);
    const int64_t column = pieces_.First(piece);
    MultiplyPacked(rows, k_.size, pieces_.Size(piece), packed_a,
                   packed_b_ + index * packed_size_ + column * k_.size, Ends(index, row, column));
  }

  // A residual that is c itself must not be overwritten before the last block of k: unfinished
  // chains wait elsewhere.
  ChainEnds<T> Ends(int64_t index, int64_t row, int64_t piece_column) const {
    const int64_t column = columns_.first + piece_column;
    T* c = product_.c + index * product_.c_next + row * product_.c_row + column;
    T* waiting = c;
    int64_t waiting_row = product_.c_row;
    if (unfinished_ != nullptr) {
      waiting = unfinished_ + row * columns_.size + piece_column;
      waiting_row = columns_.size;
    }
    ChainEnds<T> ends;
    if (k_.first > 0 || product_.accumulate) {
      ends.from = waiting;
      ends.from_row = waiting_row;
    }
    ends.to = waiting;
    ends.to_row = waiting_row;
    if (k_.first + k_.size == product_.k) {
      ends.to = c;
      ends.to_row = product_.c_row;
      if (product_.bias != nullptr) ends.bias = product_.bias + column;
      if (product_.residual != nullptr) {
        ends.residual = product_.residual + row * product_.residual_row + column;
        ends.residual_row = product_.residual_row;
      }
    }
    return ends;
  }

  Context& context_;
  const Product<T>& product_;
  const Range columns_, k_;
  const Split packs_;   // of the columns, for packing
  const Split rows_;    // of A
  const Split pieces_;  // of the columns, for multiplying
  const int64_t packed_size_;
  T* packed_b_ = nullptr;    // [count][packed block of k, columns]
  T* unfinished_ = nullptr;  // [m, columns]
  Countdown packed_;
};

template <class T>
void Check(const Product<T>& product) {
  KERNEL_CHECK(product.m >= 0 && product.n >= 0 && product.k >= 0);
  KERNEL_CHECK(!product.accumulate || product.residual == nullptr);
  KERNEL_CHECK(product.count == 1 || (product.bias == nullptr && product.residual == nullptr));
}

}  // namespace

template <class T>
void MatMul(Context& context, const Product<T>& product) {
  Check(product);
  if (product.m == 0 || product.n == 0 || product.count == 0) return;
  const Split columns(product.n, CeilDiv(product.n, kBlockColumns), kTileColumns<T>);
  const Split k(product.k, CeilDiv(product.k, kBlockK));
  for (int64_t i = 0; i < columns.parts; ++i) {
    for (int64_t j = 0; j < k.parts; ++j) {
      Slab<T>(context, product, {columns.First(i), columns.Size(i)}, {k.First(j), k.Size(j)}).Run();
    }
  }
}

template void MatMul(Context&, const Product<float>&);
template void MatMul(Context&, const Product<double>&);

}  // namespace carousel::kernels::CAROUSEL_ISA
