#include "kernels/soft_cap.h"

#include "kernels/cpu/math.h"
#include "kernels/cpu/run.h"
#include "kernels/cpu/split.h"
#include "kernels/cpu/typed.h"

namespace carousel::kernels::CAROUSEL_ISA {

void Run(Context& context, const SoftCapForward& op) {
  KERNEL_CHECK(op.x.size() == op.y.size());
  Typed(op.y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* x = op.x.As<T>();
    T* y = op.y.As<T>();
    const T cap = static_cast<T>(op.cap);
    ParallelElements(context, op.y.size(), [&](int64_t first, int64_t count) {
      ForEachVector<T>(count, [&](int64_t i, int64_t n) {
        StoreUpTo<T>(y + first + i, Tanh(LoadUpTo<T>(x + first + i, n) / cap) * cap, n);
      });
    });
  });
}

void Run(Context& context, const SoftCapBackward& op) {
  KERNEL_CHECK(op.dy.size() == op.y.size());
  KERNEL_CHECK(op.dx.size() == op.y.size());
  Typed(op.y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* y = op.y.As<T>();
    const T* dy = op.dy.As<T>();
    T* dx = op.dx.As<T>();
    const T cap = static_cast<T>(op.cap);
    ParallelElements(context, op.y.size(), [&](int64_t first, int64_t count) {
      ForEachVector<T>(count, [&](int64_t i, int64_t n) {
        const Vec<T> t = LoadUpTo<T>(y + first + i, n) / cap;
        StoreUpTo<T>(dx + first + i, LoadUpTo<T>(dy + first + i, n) * (T(1) - t * t), n);
      });
    });
  });
}

}  // namespace carousel::kernels::CAROUSEL_ISA
