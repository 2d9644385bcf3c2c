#include "kernels/cpu/mlstm_tile.h"

#include <utility>

namespace carousel::kernels::CAROUSEL_ISA {
namespace tile {
namespace {

template <class T>
void TransposeElements(int64_t rows, int64_t columns, Block<T> from, Block<T> to) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) to.Row(c)[r] = from.Row(r)[c];
  }
}

#if defined(CAROUSEL_ISA_SCALAR)

template <class T>
void TransposeSquare(Block<T> from, Block<T> to) {
  TransposeElements<T>(kLanes<T>, kLanes<T>, from, to);
}

#else

// Swaps the two off-diagonal squares of side kSide in every square of side 2 kSide.
template <class T, int kSide, int... lane>
[[gnu::always_inline]] inline void SwapSquares(Vec<T>* rows, std::integer_sequence<int, lane...>) {
  constexpr int kCount = kLanes<T>;
#pragma GCC unroll 16
  for (int r = 0; r < kCount; ++r) {
    if ((r & kSide) != 0) continue;
    const Vec<T> upper = rows[r], lower = rows[r + kSide];
    rows[r] = __builtin_shufflevector(upper, lower,
                                      ((lane & kSide) == 0 ? lane : kCount + lane - kSide)...);
    rows[r + kSide] = __builtin_shufflevector(
        upper, lower, ((lane & kSide) == 0 ? lane + kSide : kCount + lane)...);
  }
}

template <class T>
void TransposeSquare(Block<T> from, Block<T> to) {
  constexpr int kCount = kLanes<T>;
  constexpr auto kEvery = std::make_integer_sequence<int, kCount>();
  Vec<T> rows[kCount];
#pragma GCC unroll 16
  for (int r = 0; r < kCount; ++r) rows[r] = Load<T>(from.Row(r));
  SwapSquares<T, 1>(rows, kEvery);
  SwapSquares<T, 2>(rows, kEvery);
  if constexpr (kCount > 4) SwapSquares<T, 4>(rows, kEvery);
  if constexpr (kCount > 8) SwapSquares<T, 8>(rows, kEvery);
#pragma GCC unroll 16
  for (int r = 0; r < kCount; ++r) Store<T>(to.Row(r), rows[r]);
}

#endif

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
