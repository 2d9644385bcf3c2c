#include "kernels/cross_entropy.h"

#include "kernels/cpu/lanes.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/operands.h"
#include "kernels/cpu/run.h"
#include "kernels/cpu/split.h"
#include "kernels/cpu/typed.h"

namespace carousel::kernels::CAROUSEL_ISA {
namespace {

// V is Vec<T>, or T for one logit: the same bits.
template <class V>
[[gnu::always_inline]] inline V Capped(V logit, ElementOf<V> cap) {
  return cap > 0 ? Tanh<V>(logit / cap) * cap : logit;
}

// The running maximum and sum of exponentials of a row.
template <class T>
struct Softmax {
  T maximum = -static_cast<T>(__builtin_inf());
  T sum = 0;

  // Takes in a block of `size` <= kSoftmaxBlock logits; `z` is scratch for as many.
  void AddBlock(const T* logits, int64_t size, T cap, T* z) {
    Lanes<T> largest(maximum);
    ForEachLaneVector<T>(size, [&](int64_t part, int64_t i, int64_t n) {
      const Vec<T> capped = Capped<Vec<T>>(LoadUpTo<T>(logits + i, n), cap);
      StoreUpTo<T>(z + i, capped, n);
      largest.AddLargest(part, capped, n);
    });
    const T next = largest.FoldLargest();
    Lanes<T> block;
    ForEachLaneVector<T>(size, [&](int64_t part, int64_t i, int64_t n) {
      block.Add(part, Exp<Vec<T>>(LoadUpTo<T>(z + i, n) - next), n);
    });
    sum = Fma(sum, Exp<T>(maximum - next), block.Fold());
    maximum = next;
  }
};

// What the gradient of a row's logits depends on besides the logit.
template <class T>
struct RowGradient {
  T maximum, inverse_sum, cap;

  // (softmax - target) (1 - (z / cap)^2)
  template <class V>
  [[gnu::always_inline]] V Of(V logit, T target) const {
    if (!(cap > 0)) return Exp<V>(logit - maximum) * inverse_sum - target;
    const V t = Tanh<V>(logit / cap);
    return (Exp<V>(t * cap - maximum) * inverse_sum - target) * (T(1) - t * t);
  }
};

// Before anything is read or written: every label is ignored or one of the vocabulary.
void CheckLabels(const Span& labels, int64_t rows, int64_t vocab) {
  KERNEL_CHECK(vocab > 0);
  KERNEL_CHECK(Holds(labels, rows));
  const int32_t* label = labels.As<int32_t>();
  for (int64_t row = 0; row < rows; ++row) {
    KERNEL_CHECK(label[row] >= -1 && label[row] < vocab);
  }
}

}  // namespace

void Run(Context& context, const CrossEntropyForward& op) {
  CheckLabels(op.labels, op.rows, op.vocab);
  KERNEL_CHECK(Holds(op.logits, op.rows * op.vocab));
  KERNEL_CHECK(Holds(op.loss, op.rows));
  KERNEL_CHECK(Holds(op.stats, 2 * op.rows));
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
        const T* of_row = logits + row * op.vocab;
        Softmax<T> softmax;
        for (int64_t at = 0; at < op.vocab; at += kSoftmaxBlock) {
          softmax.AddBlock(of_row + at, Min(op.vocab - at, kSoftmaxBlock), cap, z);
        }
        stats[2 * row] = softmax.maximum;
        stats[2 * row + 1] = softmax.sum;
        loss[row] = labels[row] < 0 ? T(0)
                                    : Log<T>(softmax.sum) +
                                          (softmax.maximum - Capped<T>(of_row[labels[row]], cap));
      }
    });
  });
}

void Run(Context& context, const CrossEntropyBackward& op) {
  CheckLabels(op.labels, op.rows, op.vocab);
  KERNEL_CHECK(Holds(op.logits, op.rows * op.vocab));
  KERNEL_CHECK(Holds(op.stats, 2 * op.rows));
  KERNEL_CHECK(Holds(op.dlogits, op.rows * op.vocab));
  Typed(op.logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* logits = op.logits.As<T>();
    const int32_t* labels = op.labels.As<int32_t>();
    const T* stats = op.stats.As<T>();
    T* dlogits = op.dlogits.As<T>();
    ParallelRows(context, op.rows, op.vocab, [&](int64_t first, int64_t rows) {
      for (int64_t row = first; row < first + rows; ++row) {
        const T* of_row = logits + row * op.vocab;
        T* to = dlogits + row * op.vocab;
        if (labels[row] < 0) {
          std::memset(to, 0, op.vocab * sizeof(T));
          continue;
        }
        const RowGradient<T> gradient = {stats[2 * row], T(1) / stats[2 * row + 1],
                                         static_cast<T>(op.cap)};
        const T of_label = gradient.template Of<T>(of_row[labels[row]], 1);
        ForEachVector<T>(op.vocab, [&](int64_t i, int64_t n) {
          StoreUpTo<T>(to + i, gradient.template Of<Vec<T>>(LoadUpTo<T>(of_row + i, n), 0), n);
        });
        to[labels[row]] = of_label;
      }
    });
  });
}

}  // namespace carousel::kernels::CAROUSEL_ISA
