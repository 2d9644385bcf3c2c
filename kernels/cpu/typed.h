// One source for float and double: Typed(dtype, body) calls body with a value of the element type.
#pragma once

#include "kernels/check.h"
#include "kernels/span.h"

namespace carousel::kernels::CAROUSEL_ISA {

// body is a generic callable: Typed(op.x.dtype(), [&](auto zero) { using T = decltype(zero); … });
template <class Body>
inline void Typed(DType type, const Body& body) {
  if (type == DType::kF32) {
    body(float{});
  } else {
    KERNEL_CHECK(type == DType::kF64);
    body(double{});
  }
}

}  // namespace carousel::kernels::CAROUSEL_ISA
