#include "kernels/cpu/fma_loop.h"

#include "kernels/cpu/simd.h"

namespace carousel::kernels::CAROUSEL_ISA {
namespace {

template <class T>
int64_t Loop(int64_t steps) {
  constexpr int kChains = 12;  // enough to hide the latency of a fused multiply-add
  const Vec<T> a = Splat<T>(T(0.9990234375)), b = Splat<T>(T(0.0009765625));
  Vec<T> chain[kChains];
  for (int i = 0; i < kChains; ++i) chain[i] = Splat<T>(T(i));
  for (int64_t step = 0; step < steps; ++step) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) chain[i] = Fma(chain[i], a, b);
  }
  for (int i = 1; i < kChains; ++i) chain[0] = chain[0] + chain[i];
  asm volatile("" : : "x"(chain[0]));  // somebody looks at the result
  return steps * kChains * kLanes<T> * 2;
}

}  // namespace

int64_t FmaLoop(DType dtype, int64_t steps) {
  if (dtype == DType::kF64) return Loop<double>(steps);
  KERNEL_CHECK(dtype == DType::kF32);
  return Loop<float>(steps);
}

}  // namespace carousel::kernels::CAROUSEL_ISA
