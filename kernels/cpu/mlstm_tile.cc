#include "kernels/cpu/mlstm_tile.h"

namespace carousel::kernels::CAROUSEL_ISA {
namespace tile {
namespace {

template <class T>
void TransposeElements(int64_t rows, int64_t columns, Block<T> from, Block<T> to) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) to.Row(c)[r] = from.Row(r)[c];
  }
}

// kLanes x kLanes elements, in registers.
template <class T>
void TransposeSquare(Block<T> from, Block<T> to) {
#if defined(CAROUSEL_ISA_SCALAR)
  to.Row(0)[0] = from.Row(0)[0];
#else
  constexpr int kSide = kLanes<T>;
  Vec<T> rows[kSide];
#pragma GCC unroll 16
  for (int r = 0; r < kSide; ++r) rows[r] = Load<T>(from.Row(r));
  CAROUSEL_ISA::Transpose(rows);
#pragma GCC unroll 16
  for (int r = 0; r < kSide; ++r) Store<T>(to.Row(r), rows[r]);
#endif
}

}  // namespace

template <class T>
void Transpose(int64_t rows, int64_t columns, Block<T> from, Block<T> to) {
  constexpr int64_t kSide = kLanes<T>;
  int64_t r = 0;
  for (; r + kSide <= rows; r += kSide) {
    int64_t c = 0;
    for (; c + kSide <= columns; c += kSide) TransposeSquare<T>(from.At(r, c), to.At(c, r));
    TransposeElements<T>(kSide, columns - c, from.At(r, c), to.At(c, r));
  }
  TransposeElements<T>(rows - r, columns, from.At(r, 0), to.At(0, r));
}

template void Transpose(int64_t, int64_t, Block<float>, Block<float>);
template void Transpose(int64_t, int64_t, Block<double>, Block<double>);

}  // namespace tile
}  // namespace carousel::kernels::CAROUSEL_ISA
