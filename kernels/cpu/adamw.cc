#include "kernels/adamw.h"

#include "kernels/cpu/run.h"
#include "kernels/cpu/split.h"
#include "kernels/cpu/typed.h"

namespace carousel::kernels::CAROUSEL_ISA {

void Run(Context& context, const AdamW& op) {
  KERNEL_CHECK(op.m.size() == op.weight.size());
  KERNEL_CHECK(op.v.size() == op.weight.size());
  KERNEL_CHECK(op.gradient.size() == op.weight.size());
  Typed(op.weight.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* weight = op.weight.As<T>();
    T* m = op.m.As<T>();
    T* v = op.v.As<T>();
    const T* gradient = op.gradient.As<T>();
    const AdamWStep& step = op.step;
    const T scale = static_cast<T>(step.scale),
            keep = static_cast<T>(1 - step.learning_rate * step.weight_decay);
    const T beta1 = static_cast<T>(step.beta1), rest1 = static_cast<T>(1 - step.beta1);
    const T beta2 = static_cast<T>(step.beta2), rest2 = static_cast<T>(1 - step.beta2);
    const T rate = static_cast<T>(step.learning_rate / step.correction1);
    const T correction2 = static_cast<T>(step.correction2), epsilon = static_cast<T>(step.epsilon);
    ParallelElements(context, op.weight.size(), [&](int64_t first, int64_t count) {
      ForEachVector<T>(count, [&](int64_t i, int64_t n) {
        const int64_t at = first + i;
        const Vec<T> g = LoadUpTo<T>(gradient + at, n) * scale;
        const Vec<T> m_next = Fma(Splat<T>(beta1), LoadUpTo<T>(m + at, n), g * rest1);
        const Vec<T> v_next = Fma(Splat<T>(beta2), LoadUpTo<T>(v + at, n), g * g * rest2);
        const Vec<T> update = m_next / (Sqrt(v_next) / correction2 + epsilon);
        StoreUpTo<T>(m + at, m_next, n);
        StoreUpTo<T>(v + at, v_next, n);
        StoreUpTo<T>(weight + at, Fma(Splat<T>(-rate), update, LoadUpTo<T>(weight + at, n) * keep),
                     n);
      });
    });
  });
}

}  // namespace carousel::kernels::CAROUSEL_ISA
