// The innermost loop: a tile of C in registers, one block of k.

#include "kernels/cpu/math.h"
#include "kernels/cpu/matmul.h"

namespace carousel::kernels::CAROUSEL_ISA {
namespace {

// Elements [0, columns) of a tile's row; `columns` is short of kVectors whole vectors at the right
// edge of C only.
template <class T, int kVectors>
struct TileRow {
  Vec<T> vector[kVectors];

  [[gnu::always_inline]] void Read(const T* from, int64_t columns) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors - 1; ++v) vector[v] = Load<T>(from + v * kLanes<T>);
    vector[kVectors - 1] =
        LoadUpTo<T>(from + (kVectors - 1) * kLanes<T>, columns - (kVectors - 1) * kLanes<T>);
  }
  [[gnu::always_inline]] void Write(T* to, int64_t columns) const {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors - 1; ++v) Store<T>(to + v * kLanes<T>, vector[v]);
    StoreUpTo<T>(to + (kVectors - 1) * kLanes<T>, vector[kVectors - 1],
                 columns - (kVectors - 1) * kLanes<T>);
  }
  [[gnu::always_inline]] void Add(const TileRow& other) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) vector[v] = other.vector[v] + vector[v];
  }
};

// Memory to be asked for while a tile computes, so many bytes a step of k.
struct Ahead {
  const char* data;
  int64_t bytes_a_step;
};

// a: [k][kRows], b: [k][kVectors vectors].
template <class T, int kRows, int kVectors>
void Tile(int64_t k, const T* a, const T* b, int64_t columns, const ChainEnds<T>& ends,
          const Ahead& ahead) {
  TileRow<T, kVectors> chain[kRows];
  if (ends.from != nullptr) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) chain[r].Read(ends.from + r * ends.from_row, columns);
  } else {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) chain[r].vector[v] = Splat<T>(0);
    }
  }

  const char* prefetched = ahead.data;
  for (int64_t step = 0; step < k; ++step) {
    __builtin_prefetch(prefetched, 0, 2);
    prefetched += ahead.bytes_a_step;
    Vec<T> b_vector[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) b_vector[v] = Load<T>(b + v * kLanes<T>);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const Vec<T> a_element = Splat<T>(a[r]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        chain[r].vector[v] = Fma(a_element, b_vector[v], chain[r].vector[v]);
      }
    }
    a += kRows;
    b += kVectors * kLanes<T>;
  }

  if (ends.bias != nullptr) {
    TileRow<T, kVectors> bias;
    bias.Read(ends.bias, columns);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) chain[r].Add(bias);
  }
  if (ends.residual != nullptr) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      TileRow<T, kVectors> residual;
      residual.Read(ends.residual + r * ends.residual_row, columns);
      chain[r].Add(residual);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) chain[r].Write(ends.to + r * ends.to_row, columns);
}

template <class T>
using TileFunction = void (*)(int64_t, const T*, const T*, int64_t, const ChainEnds<T>&,
                              const Ahead&);

template <class T, int kRows>
struct TilesOf {
  static constexpr TileFunction<T> Of(int64_t rows, int64_t vectors) {
    if (rows != kRows) return TilesOf<T, kRows - 1>::Of(rows, vectors);
    if (vectors == 1) return Tile<T, kRows, 1>;
    return vectors == 2 ? Tile<T, kRows, 2> : Tile<T, kRows, kTileVectors>;
  }
};
template <class T>
struct TilesOf<T, 0> {
  static constexpr TileFunction<T> Of(int64_t, int64_t) { return nullptr; }
};

template <class T>
struct TileTable {
  constexpr TileTable() {
    for (int64_t rows = 1; rows <= kTileRows; ++rows) {
      for (int64_t vectors = 1; vectors <= kTileVectors; ++vectors) {
        tile[rows][vectors] = TilesOf<T, kTileRows>::Of(rows, vectors);
      }
    }
  }
  TileFunction<T> tile[kTileRows + 1][kTileVectors + 1] = {};
};

template <class T>
constexpr TileTable<T> kTiles;

// A tile's rows of C are rarely in cache: ask for them one tile ahead. Into the second level: rows
// a power of two apart would drive each other out of the first.
template <class T>
void PrefetchRows(const T* to, int64_t to_row, int64_t rows) {
  for (int64_t r = 0; r < rows; ++r) {
    const char* row = reinterpret_cast<const char*>(to + r * to_row);
#pragma GCC unroll 4
    for (int64_t byte = 0; byte < kTileColumns<T> * static_cast<int64_t>(sizeof(T)); byte += 64) {
      __builtin_prefetch(row + byte, 0, 2);
    }
  }
}

template <class T>
ChainEnds<T> EndsOfTile(const ChainEnds<T>& ends, int64_t row, int64_t column) {
  ChainEnds<T> tile = ends;
  if (ends.from != nullptr) tile.from += row * ends.from_row + column;
  tile.to += row * ends.to_row + column;
  if (ends.bias != nullptr) tile.bias += column;
  if (ends.residual != nullptr) tile.residual += row * ends.residual_row + column;
  return tile;
}

}  // namespace

template <class T>
void MultiplyPacked(int64_t rows, int64_t k, int64_t columns, const T* a, const T* b,
                    const ChainEnds<T>& ends) {
  const int64_t row_panels = RowPanels(rows);
  for (int64_t column = 0; column < columns; column += kTileColumns<T>) {
    const int64_t width = Min(columns - column, kTileColumns<T>);
    const int64_t vectors = (width + kLanes<T> - 1) / kLanes<T>;
    const T* b_panel = b + column * k;
    // The tiles of this panel of B together ask for the next one.
    const bool last_panel = column + kTileColumns<T> >= columns;
    const int64_t ahead_bytes = kTileColumns<T> * static_cast<int64_t>(sizeof(T)) / row_panels;
    int64_t row = 0;
    for (int64_t panel = 0; panel < row_panels; ++panel) {
      const int64_t next_row = FirstRow(rows, panel + 1);
      if (next_row < rows) {
        PrefetchRows(ends.to + next_row * ends.to_row + column, ends.to_row,
                     Min(rows - next_row, kTileRows));
      }
      Ahead ahead = {reinterpret_cast<const char*>(b_panel), 0};
      if (!last_panel) {
        ahead = {
            reinterpret_cast<const char*>(b_panel + kTileColumns<T> * k) + panel * ahead_bytes * k,
            ahead_bytes};
      }
      kTiles<T>.tile[next_row - row][vectors](k, a + row * k, b_panel, width,
                                              EndsOfTile(ends, row, column), ahead);
      row = next_row;
    }
  }
}

template void MultiplyPacked(int64_t, int64_t, int64_t, const float*, const float*,
                             const ChainEnds<float>&);
template void MultiplyPacked(int64_t, int64_t, int64_t, const double*, const double*,
                             const ChainEnds<double>&);

}  // namespace carousel::kernels::CAROUSEL_ISA
