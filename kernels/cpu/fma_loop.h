// A loop of nothing but fused multiply-adds on registers, once for each instruction set.
#pragma once

#include <cstdint>

#include "kernels/span.h"

#define CAROUSEL_DECLARE_FMA_LOOP int64_t FmaLoop(DType dtype, int64_t steps);

namespace carousel::kernels {
// Returns the number of floating-point operations done, two a fused multiply-add. kF32 or kF64.
namespace avx512 {
CAROUSEL_DECLARE_FMA_LOOP
}
namespace avx2 {
CAROUSEL_DECLARE_FMA_LOOP
}
namespace scalar {
CAROUSEL_DECLARE_FMA_LOOP
}
}  // namespace carousel::kernels

#undef CAROUSEL_DECLARE_FMA_LOOP
