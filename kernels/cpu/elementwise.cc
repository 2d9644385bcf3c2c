#include "kernels/elementwise.h"

#include "kernels/cpu/operands.h"
#include "kernels/cpu/run.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/split.h"
#include "kernels/cpu/typed.h"

namespace carousel::kernels::CAROUSEL_ISA {
namespace {

// A span's bytes, whatever its type.
std::byte* BytesOf(const Span& span) { return span.address() + internal::address_bias; }

}  // namespace

void Run(Context& context, const Add& op) {
  KERNEL_CHECK(op.a.size() == op.y.size() && op.b.size() == op.y.size());
  Typed(op.y.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* a = op.a.As<T>();
    const T* b = op.b.As<T>();
    T* y = op.y.As<T>();
    ParallelElements(context, op.y.size(), [&](int64_t first, int64_t count) {
      ForEachVector<T>(count, [&](int64_t i, int64_t n) {
        StoreUpTo<T>(y + first + i, LoadUpTo<T>(a + first + i, n) + LoadUpTo<T>(b + first + i, n),
                     n);
      });
    });
  });
}

void Run(Context& context, const Zero& op) {
  std::byte* x = BytesOf(op.x);
  ParallelPieces(context, op.x.bytes(), 1 << 20,
                 [&](int64_t first, int64_t count) { std::memset(x + first, 0, count); });
}

void Run(Context& context, const Copy& op) {
  KERNEL_CHECK(op.x.dtype() == op.y.dtype() && op.x.size() == op.y.size());
  const std::byte* x = BytesOf(op.x);
  std::byte* y = BytesOf(op.y);
  ParallelPieces(context, op.y.bytes(), 1 << 20,
                 [&](int64_t first, int64_t count) { std::memcpy(y + first, x + first, count); });
}

void Run(Context&, const OrderedSum& op) {
  KERNEL_CHECK(Holds(op.sum, 1));
  Typed(op.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* x = op.x.As<T>();
    double sum = *op.sum.As<double>();
    for (int64_t i = 0; i < op.x.size(); ++i) sum += x[i];
    *op.sum.As<double>() = sum;
  });
}

void Run(Context&, const CountNonFinite& op) {
  KERNEL_CHECK(Holds(op.count, 1));
  Typed(op.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* x = op.x.As<T>();
    // x - x is 0 where x is finite, NaN elsewhere: any NaN makes the sum one.
    Vec<T> sums = Splat<T>(0);
    int64_t i = 0;
    for (; i + kLanes<T> <= op.x.size(); i += kLanes<T>) {
      const Vec<T> v = Load<T>(x + i);
      sums = sums + (v - v);
    }
    T lanes[kLanes<T>];
    Store<T>(lanes, sums);
    T sum = 0;
    for (T lane : lanes) sum += lane;
    for (; i < op.x.size(); ++i) sum += x[i] - x[i];
    if (sum == 0) return;
    int32_t& count = *op.count.As<int32_t>();
    for (i = 0; i < op.x.size() && count < INT32_MAX; ++i) count += !(x[i] - x[i] == 0);
  });
}

}  // namespace carousel::kernels::CAROUSEL_ISA
