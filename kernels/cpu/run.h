// Run(context, op): the operations of the CPU backend, once for each instruction set.
// kernels/cpu/<op>.cc defines them for whichever set it is compiled for (CAROUSEL_ISA, see
// bazel/isa.bzl).
#pragma once

#include "kernels/cpu/context.h"
#include "kernels/op.h"

#define CAROUSEL_DECLARE_RUN(name) void Run(Context& context, const name& op);

namespace carousel::kernels {
namespace avx512 {
CAROUSEL_FOR_EACH_OP(CAROUSEL_DECLARE_RUN)
}
namespace avx2 {
CAROUSEL_FOR_EACH_OP(CAROUSEL_DECLARE_RUN)
}
namespace scalar {
CAROUSEL_FOR_EACH_OP(CAROUSEL_DECLARE_RUN)
}
}  // namespace carousel::kernels

#undef CAROUSEL_DECLARE_RUN
