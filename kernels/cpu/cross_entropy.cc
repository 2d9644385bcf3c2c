#include "kernels/cross_entropy.h"

#include "kernels/cpu/lanes.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/run.h"
#include "kernels/cpu/split.h"
#include "kernels/cpu/typed.h"

namespace carousel::kernels::CAROUSEL_ISA {
namespace {

template <class T>
[[gnu::always_inline]] inline Vec<T> Capped(Vec<T> logit, T cap) {
  return cap > 0 ? Tanh(logit / cap) * cap : logit;
}

template <class T>
T BlockMaximum(const T* z, int64_t size) {
  Vec<T> maximum = Splat<T>(z[0]);
  int64_t i = 0;
  for (; i + kLanes<T> <= size; i += kLanes<T>) maximum = Max(maximum, Load<T>(z + i));
  T lanes[kLanes<T>];
  Store<T>(lanes, maximum);
  T most = lanes[0];
  for (T lane : lanes) most = lane > most ? lane : most;
  for (; i < size; ++i) most = z[i] > most ? z[i] : most;
  return most;
}

// Maximum and sum of exponentials of a row, block by block; `z` is scratch for one block of capped logits.
template <class T>
void RowStats(const T* logits, int64_t vocab, T cap, T* z, T* stats) {
  T maximum = 0, sum = 0;
  for (int64_t first = 0; first < vocab; first += kSoftmaxBlock) {
    const int64_t size = vocab - first < kSoftmaxBlock ? vocab - first : kSoftmaxBlock;
    ForEachVector<T>(size, [&](int64_t i, int64_t n) { StoreUpTo<T>(z + i, Capped<T>(LoadUpTo<T>(logits + first + i, n), cap), n); });
    const T most = BlockMaximum<T>(z, size);
    const T next = first == 0 || most > maximum ? most : maximum;
    LaneSums<T> block;
    block.AddRow(size, [&](int64_t i, int64_t n) { return Exp(LoadUpTo<T>(z + i, n) - next); });
    const T rescale = first == 0 ? T(0) : FirstLane<T>(Exp(Splat<T>(maximum - next)));
    sum = Fma(sum, rescale, block.Fold());
    maximum = next;
  }
  stats[0] = maximum;
  stats[1] = sum;
}

}  // namespace

void Run(Context& context, const CrossEntropyForward& op) {
  Typed(op.logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* logits = op.logits.As<T>();
    const int32_t* labels = op.labels.As<int32_t>();
    T* loss = op.loss.As<T>();
    T* stats = op.stats.As<T>();
    const T cap = static_cast<T>(op.cap);
    ParallelRows(context, op.rows, op.vocab, [&](int64_t first, int64_t rows) {
      alignas(64) T z[kSoftmaxBlock];
      for (int64_t row = first; row < first + rows; ++row) {
        const T* at = logits + row * op.vocab;
        RowStats<T>(at, op.vocab, cap, z, stats + row * 2);
        if (labels[row] < 0) {
          loss[row] = 0;
          continue;
        }
        KERNEL_CHECK(labels[row] < op.vocab);
        const T label = FirstLane<T>(Capped<T>(Splat<T>(at[labels[row]]), cap));
        loss[row] = FirstLane<T>(Log(Splat<T>(stats[row * 2 + 1]))) + (stats[row * 2] - label);
      }
    });
  });
}

void Run(Context& context, const CrossEntropyBackward& op) {
  Typed(op.logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* logits = op.logits.As<T>();
    const int32_t* labels = op.labels.As<int32_t>();
    const T* stats = op.stats.As<T>();
    T* dlogits = op.dlogits.As<T>();
    const T cap = static_cast<T>(op.cap);
    ParallelRows(context, op.rows, op.vocab, [&](int64_t first, int64_t rows) {
      for (int64_t row = first; row < first + rows; ++row) {
        const T* at = logits + row * op.vocab;
        T* to = dlogits + row * op.vocab;
        if (labels[row] < 0) {
          std::memset(to, 0, op.vocab * sizeof(T));
          continue;
        }
        const T maximum = stats[row * 2], inverse = static_cast<T>(1) / stats[row * 2 + 1];
        const T label_logit = at[labels[row]];
        // (p - onehot) (1 - (z/a)^2), with p = exp(z - max) / sum
        auto gradient = [&](Vec<T> logit, T target) {
          const Vec<T> t = cap > 0 ? Tanh(logit / cap) : Splat<T>(0);
          const Vec<T> z = cap > 0 ? t * cap : logit;
          return (Exp(z - maximum) * inverse - target) * (Splat<T>(1) - t * t);
        };
        ForEachVector<T>(op.vocab, [&](int64_t i, int64_t n) { StoreUpTo<T>(to + i, gradient(LoadUpTo<T>(at + i, n), 0), n); });
        to[labels[row]] = FirstLane<T>(gradient(Splat<T>(label_logit), 1));
      }
    });
  });
}

}  // namespace carousel::kernels::CAROUSEL_ISA
