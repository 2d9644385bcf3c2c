// Packing: rows of A or columns of B, here called lanes, are interleaved k by k, panel by panel.

#include "kernels/cpu/math.h"
#include "kernels/cpu/matmul.h"

namespace carousel::kernels::CAROUSEL_ISA {
namespace {

// packed[k][lane] = from[lane * lane_stride + k * k_stride] for lane < lanes, and 0 for the lanes
// from there to width.
template <class T>
struct Panel {
  const T* from;
  int64_t lane_stride, k_stride;
  int64_t lanes, k, width;
  T* packed;
};

template <class T>
void PackAnyStrides(const Panel<T>& panel, int64_t first_k) {
  for (int64_t k = first_k; k < panel.k; ++k) {
    T* to = panel.packed + k * panel.width;
    const T* from = panel.from + k * panel.k_stride;
    for (int64_t lane = 0; lane < panel.lanes; ++lane) to[lane] = from[lane * panel.lane_stride];
    for (int64_t lane = panel.lanes; lane < panel.width; ++lane) to[lane] = 0;
  }
}

#if !defined(CAROUSEL_ISA_SCALAR)

// Writes `count` lanes; or a whole vector, if what lies behind them is in this panel, where it will
// be written later.
template <class T>
[[gnu::always_inline]] inline void StoreLanes(const Panel<T>& panel, T* to, Vec<T> value,
                                              int64_t count) {
  if (to + kLanes<T> <= panel.packed + panel.k * panel.width) {
    Store<T>(to, value);
  } else {
    StorePartial<T>(to, value, count);
  }
}

// One k of a panel whose lanes lie side by side.
template <class T>
[[gnu::always_inline]] inline void CopyLanes(const Panel<T>& panel, int64_t k) {
  const T* from = panel.from + k * panel.k_stride;
  T* to = panel.packed + k * panel.width;
  for (int64_t lane = 0; lane < panel.width; lane += kLanes<T>) {
    const int64_t left = panel.lanes - lane;
    StoreLanes(panel, to + lane,
               left >= kLanes<T> ? Load<T>(from + lane) : LoadPartial<T>(from + lane, left),
               Min(panel.width - lane, kLanes<T>));
  }
}

// k lies side by side: transposes squares, kRun of them in a row, and asks for the next kRun.
template <class T>
void PackUnitK(const Panel<T>& panel) {
  constexpr int64_t kRun = 4;
  const int64_t whole = panel.k / kLanes<T> * kLanes<T>;
  for (int64_t k_run = 0; k_run < whole; k_run += kRun * kLanes<T>) {
    for (int64_t lane = 0; lane < panel.width; lane += kLanes<T>) {
      const int64_t lanes = Min(panel.lanes - lane, kLanes<T>);
      const T* from = panel.from + lane * panel.lane_stride;
      for (int64_t k = k_run; k < Min(k_run + kRun * kLanes<T>, whole); k += kLanes<T>) {
        Vec<T> square[kLanes<T>];
#pragma GCC unroll 16
        for (int64_t i = 0; i < kLanes<T>; ++i) {
          square[i] = i < lanes ? Load<T>(from + i * panel.lane_stride + k) : Splat<T>(0);
          __builtin_prefetch(from + i * panel.lane_stride + k + kRun * kLanes<T>, 0, 2);
        }
        Transpose(square);
        T* to = panel.packed + k * panel.width + lane;
        const int64_t valid = Min(panel.width - lane, kLanes<T>);
        if (valid == kLanes<T> || panel.width < kLanes<T>) {
#pragma GCC unroll 16
          for (int64_t i = 0; i < kLanes<T>; ++i) {
            StoreLanes(panel, to + i * panel.width, square[i], valid);
          }
        } else {  // the lanes behind these have been written already
          for (int64_t i = 0; i < kLanes<T>; ++i) {
            StorePartial<T>(to + i * panel.width, square[i], valid);
          }
        }
      }
    }
  }
  PackAnyStrides(panel, whole);
}

#endif

// All panels that `panel_of` describes.
template <class T, class PanelOf>
void PackPanels(int64_t panels, const PanelOf& panel_of) {
#if !defined(CAROUSEL_ISA_SCALAR)
  const Panel<T> first = panel_of(0);
  if (first.lane_stride == 1) {
    // k by k through several panels, so that memory is read along its rows.
    constexpr int64_t kTogether = 8, kAhead = 8;
    for (int64_t p = 0; p < panels; p += kTogether) {
      Panel<T> together[kTogether];
      const int64_t count = Min(kTogether, panels - p);
      for (int64_t i = 0; i < count; ++i) together[i] = panel_of(p + i);
      for (int64_t k = 0; k < first.k; ++k) {
        for (int64_t i = 0; i < count; ++i) {
          const T* ahead = together[i].from + (k + kAhead) * first.k_stride;
          __builtin_prefetch(ahead, 0, 2);
          __builtin_prefetch(ahead + together[i].width - 1, 0, 2);
          CopyLanes(together[i], k);
        }
      }
    }
    return;
  }
  if (first.k_stride == 1) {
    for (int64_t p = 0; p < panels; ++p) PackUnitK(panel_of(p));
    return;
  }
#endif
  for (int64_t p = 0; p < panels; ++p) PackAnyStrides(panel_of(p), 0);
}

}  // namespace

template <class T>
void PackRows(const Strided<T>& a, int64_t rows, int64_t k, T* packed) {
  PackPanels<T>(RowPanels(rows), [&](int64_t panel) {
    const int64_t row = FirstRow(rows, panel);
    const int64_t height = FirstRow(rows, panel + 1) - row;
    return Panel<T>{a.data + row * a.row, a.row, a.column, height, k, height, packed + row * k};
  });
}

template <class T>
void PackColumns(const Strided<T>& b, int64_t k, int64_t columns, T* packed) {
  PackPanels<T>((columns + kTileColumns<T> - 1) / kTileColumns<T>, [&](int64_t panel) {
    const int64_t column = panel * kTileColumns<T>;
    const int64_t lanes = Min(columns - column, kTileColumns<T>);
    const int64_t width = (lanes + kLanes<T> - 1) / kLanes<T> * kLanes<T>;
    return Panel<T>{b.data + column * b.column, b.column, b.row, lanes, k, width,
                    packed + column * k};
  });
}

template void PackRows(const Strided<float>&, int64_t, int64_t, float*);
template void PackRows(const Strided<double>&, int64_t, int64_t, double*);
template void PackColumns(const Strided<float>&, int64_t, int64_t, float*);
template void PackColumns(const Strided<double>&, int64_t, int64_t, double*);

}  // namespace carousel::kernels::CAROUSEL_ISA
