#include "kernels/causal_conv.h"

#include "kernels/cpu/math.h"
#include "kernels/cpu/run.h"
#include "kernels/cpu/split.h"
#include "kernels/cpu/typed.h"

namespace carousel::kernels::CAROUSEL_ISA {
namespace {

// Rows of x of one sequence, those carried in included, and which of them a tap may reach.
template <class T>
struct Past {
  const T* x;
  const T* carry;  // or nullptr: zeros
  const uint8_t* reset;
  ConvShape shape;
  int64_t stride;

  // x[t - back] of sequence b from column `column` on; nullptr: it counts as zero, being before the sequence or its document.
  [[gnu::always_inline]] const T* Tap(int64_t t, int64_t b, int64_t back, int64_t column) const {
    for (int64_t s = t; s > t - back; --s) {
      if (s < 0) break;
      if (reset[s * shape.batch + b]) return nullptr;
    }
    const int64_t source = t - back;
    if (source >= 0) return x + (source * shape.batch + b) * stride + column;
    if (carry == nullptr) return nullptr;
    return carry + ((kConvCarry + source) * shape.batch + b) * shape.width + column;
  }
};

template <class T>
[[gnu::always_inline]] inline Vec<T> TapOrZero(const T* tap, int64_t i, int64_t n) {
  return tap == nullptr ? Splat<T>(0) : LoadUpTo<T>(tap + i, n);
}

// The weights as four rows of D, so that a tap's weights lie side by side: [4][columns] of a piece.
template <class T>
void GatherTaps(const T* weight, int64_t columns, T* taps) {
  for (int64_t i = 0; i < columns; ++i) {
    for (int64_t j = 0; j < kConvTaps; ++j) taps[j * columns + i] = weight[i * kConvTaps + j];
  }
}

constexpr int64_t kColumns = 128;  // of a piece: one task

// z of one row, a piece of columns: the bias, then taps from the oldest on. A tap that is cut off is skipped, not multiplied by zero.
template <class T>
[[gnu::always_inline]] inline Vec<T> PreActivation(const T* const* taps, const T* weights, int64_t columns, Vec<T> bias, int64_t i, int64_t n) {
  Vec<T> z = bias;
  for (int64_t j = 0; j < kConvTaps; ++j) {
    if (taps[j] != nullptr) z = Fma(LoadUpTo<T>(weights + j * columns + i, n), LoadUpTo<T>(taps[j] + i, n), z);
  }
  return z;
}

// Calls body(first_column, columns, thread) for pieces of the width.
template <class Body>
void ForEachPiece(Context& context, int64_t width, const Body& body) {
  Parallel(context, (width + kColumns - 1) / kColumns, [&](int64_t piece, int) {
    const int64_t first = piece * kColumns;
    body(first, width - first < kColumns ? width - first : kColumns);
  });
}

// dz rows 0, 1, 2 for the earlier segment; zero where a reset at or before the row (in this segment) cuts it off.
template <class T>
void CarryOut(const ConvShape& shape, const uint8_t* reset, const T* dz, const T* later, int64_t first, int64_t columns, T* out) {
  for (int64_t b = 0; b < shape.batch; ++b) {
    bool cut = false;
    for (int64_t row = 0; row < kConvCarry; ++row) {
      const int64_t beyond = row - shape.steps;  // >= 0: a row of the later segment, whose own resets are in its zeros
      if (beyond < 0) cut = cut || reset[row * shape.batch + b] != 0;
      const T* from = beyond < 0 ? dz + (row * shape.batch + b) * shape.width + first
                      : later == nullptr ? nullptr
                                         : later + (beyond * shape.batch + b) * shape.width + first;
      T* to = out + (row * shape.batch + b) * shape.width + first;
      for (int64_t i = 0; i < columns; ++i) to[i] = cut || from == nullptr ? T(0) : from[i];
    }
  }
}

}  // namespace

void Run(Context& context, const ConvForward& op) {
  Typed(op.y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const ConvShape& shape = op.shape;
    const Past<T> past = {op.x.data.As<T>(), op.carry_in.As<T>(), op.reset.As<uint8_t>(), shape, op.x.stride};
    const T* weight = op.weight.As<T>();
    const T* bias = op.bias.As<T>();
    T* y = op.y.As<T>();
    T* carry_out = op.carry_out.As<T>();
    ForEachPiece(context, shape.width, [&](int64_t first, int64_t columns) {
      T weights[kConvTaps * kColumns];
      GatherTaps(weight + first * kConvTaps, columns, weights);
      for (int64_t row = 0; row < shape.steps * shape.batch; ++row) {
        const int64_t t = row / shape.batch, b = row % shape.batch;
        const T* taps[kConvTaps];
        for (int64_t j = 0; j < kConvTaps; ++j) taps[j] = past.Tap(t, b, kConvTaps - 1 - j, first);
        ForEachVector<T>(columns, [&](int64_t i, int64_t n) {
          const Vec<T> z = PreActivation<T>(taps, weights, columns, LoadUpTo<T>(bias + first + i, n), i, n);
          StoreUpTo<T>(y + row * shape.width + first + i, z * Sigmoid(z), n);
        });
      }
      if (carry_out == nullptr) return;
      // The last rows of x as they are: whether a tap reaches them is the next segment's resets' business and this one's.
      for (int64_t k = 0; k < kConvCarry; ++k) {
        for (int64_t b = 0; b < shape.batch; ++b) {
          const T* tap = past.Tap(shape.steps - 1, b, kConvCarry - 1 - k, first);
          ForEachVector<T>(columns, [&](int64_t i, int64_t n) {
            StoreUpTo<T>(carry_out + (k * shape.batch + b) * shape.width + first + i, TapOrZero<T>(tap, i, n), n);
          });
        }
      }
    });
  });
}

void Run(Context& context, const ConvBackwardInput& op) {
  Typed(op.dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const ConvShape& shape = op.shape;
    const uint8_t* reset = op.reset.As<uint8_t>();
    const Past<T> past = {op.x.data.As<T>(), op.carry_in.As<T>(), reset, shape, op.x.stride};
    const T* weight = op.weight.As<T>();
    const T* bias = op.bias.As<T>();
    const T* dy = op.dy.As<T>();
    const T* later = op.dcarry_in.As<T>();
    T* dz = op.dz.As<T>();
    T* dx = op.dx.data.As<T>();
    T* dcarry_out = op.dcarry_out.As<T>();
    ForEachPiece(context, shape.width, [&](int64_t first, int64_t columns) {
      T weights[kConvTaps * kColumns];
      GatherTaps(weight + first * kConvTaps, columns, weights);
      for (int64_t row = 0; row < shape.steps * shape.batch; ++row) {
        const int64_t t = row / shape.batch, b = row % shape.batch, at = row * shape.width + first;
        const T* taps[kConvTaps];
        for (int64_t j = 0; j < kConvTaps; ++j) taps[j] = past.Tap(t, b, kConvTaps - 1 - j, first);
        ForEachVector<T>(columns, [&](int64_t i, int64_t n) {
          const Vec<T> z = PreActivation<T>(taps, weights, columns, LoadUpTo<T>(bias + first + i, n), i, n);
          const Vec<T> s = Sigmoid(z);
          const Vec<T> slope = s * Fma(z, Splat<T>(1) - s, Splat<T>(1));
          StoreUpTo<T>(dz + at + i, LoadUpTo<T>(dy + at + i, n) * slope, n);
        });
      }
      for (int64_t row = 0; row < shape.steps * shape.batch; ++row) {
        const int64_t t = row / shape.batch, b = row % shape.batch;
        // dz[t + j] for j = 0 ... 3, nullptr from the first reset in (t, t + j] on.
        const T* ahead[kConvTaps] = {};
        for (int64_t j = 0; j < kConvTaps; ++j) {
          const int64_t to = t + j;
          if (to < shape.steps) {
            if (j > 0 && reset[to * shape.batch + b]) break;
            ahead[j] = dz + (to * shape.batch + b) * shape.width + first;
          } else if (later != nullptr) {
            ahead[j] = later + ((to - shape.steps) * shape.batch + b) * shape.width + first;
          }
        }
        T* to = dx + row * op.dx.stride + first;
        ForEachVector<T>(columns, [&](int64_t i, int64_t n) {
          Vec<T> sum = op.accumulate ? LoadUpTo<T>(to + i, n) : Splat<T>(0);
          for (int64_t j = 0; j < kConvTaps; ++j) {
            if (ahead[j] != nullptr) sum = Fma(LoadUpTo<T>(weights + (kConvTaps - 1 - j) * columns + i, n), LoadUpTo<T>(ahead[j] + i, n), sum);
          }
          StoreUpTo<T>(to + i, sum, n);
        });
      }
      if (dcarry_out != nullptr) CarryOut<T>(shape, reset, dz, later, first, columns, dcarry_out);
    });
  });
}

void Run(Context& context, const ConvBackwardWeight& op) {
  Typed(op.dz.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const ConvShape& shape = op.shape;
    const Past<T> past = {op.x.data.As<T>(), op.carry_in.As<T>(), op.reset.As<uint8_t>(), shape, op.x.stride};
    const T* dz = op.dz.As<T>();
    T* dweight = op.dweight.As<T>();
    T* dbias = op.dbias.As<T>();
    ForEachPiece(context, shape.width, [&](int64_t first, int64_t columns) {
      T sums[kConvTaps * kColumns];
      GatherTaps(dweight + first * kConvTaps, columns, sums);
      for (int64_t row = shape.steps * shape.batch - 1; row >= 0; --row) {
        const int64_t t = row / shape.batch, b = row % shape.batch;
        const T* d = dz + row * shape.width + first;
        for (int64_t j = 0; j < kConvTaps; ++j) {
          const T* tap = past.Tap(t, b, kConvTaps - 1 - j, first);
          if (tap == nullptr) continue;
          ForEachVector<T>(columns, [&](int64_t i, int64_t n) {
            T* sum = sums + j * columns + i;
            StoreUpTo<T>(sum, Fma(LoadUpTo<T>(d + i, n), LoadUpTo<T>(tap + i, n), LoadUpTo<T>(sum, n)), n);
          });
        }
        ForEachVector<T>(columns, [&](int64_t i, int64_t n) {
          T* sum = dbias + first + i;
          StoreUpTo<T>(sum, LoadUpTo<T>(sum, n) + LoadUpTo<T>(d + i, n), n);
        });
      }
      for (int64_t i = 0; i < columns; ++i) {
        for (int64_t j = 0; j < kConvTaps; ++j) dweight[(first + i) * kConvTaps + j] = sums[j * columns + i];
      }
    });
  });
}

}  // namespace carousel::kernels::CAROUSEL_ISA
