#include "kernels/cpu/run.h"
#include "kernels/cpu/simd.h"

namespace carousel::kernels::CAROUSEL_ISA {

void Run(Context& context, const Zero& op) {
  std::memset(op.x.As<float>(), 0, op.x.bytes());
}

}  // namespace carousel::kernels::CAROUSEL_ISA
