// Op: the table of operations. An operation is data, its operands and sizes; a backend runs it.
// Each header says formula, shapes, what is kept for backward and the order of every sum.
#pragma once

#include <variant>

#include "kernels/adamw.h"
#include "kernels/block_linear.h"
#include "kernels/causal_conv.h"
#include "kernels/cross_entropy.h"
#include "kernels/elementwise.h"
#include "kernels/embedding.h"
#include "kernels/gate_linear.h"
#include "kernels/gated.h"
#include "kernels/granule.h"
#include "kernels/linear.h"
#include "kernels/mlstm.h"
#include "kernels/norm.h"
#include "kernels/random_init.h"
#include "kernels/slstm.h"
#include "kernels/soft_cap.h"

// X(name) for every operation.
// clang-format off
#define CAROUSEL_FOR_EACH_OP(X)                                        \
  X(EmbeddingForward) X(EmbeddingBackwardWeight)                       \
  X(NormForward) X(NormBackwardInput) X(NormBackwardWeight)            \
  X(LinearForward) X(LinearBackwardInput) X(LinearBackwardWeight)      \
  X(BlockLinearForward) X(BlockLinearBackwardInput)                    \
  X(BlockLinearBackwardWeight)                                         \
  X(GateLinearForward) X(GateLinearBackwardInput)                      \
  X(GateLinearBackwardWeight)                                          \
  X(ConvForward) X(ConvBackwardInput) X(ConvBackwardWeight)            \
  X(SoftCapForward) X(SoftCapBackward)                                 \
  X(GatedUnitForward) X(GatedUnitBackward)                             \
  X(OutputGateForward) X(OutputGateBackward)                           \
  X(SkipGateForward) X(SkipGateBackwardInput) X(SkipGateBackwardWeight) \
  X(SlstmForward) X(SlstmBackwardInput) X(SlstmBackwardWeight)         \
  X(MlstmForward) X(MlstmBackward)                                     \
  X(CrossEntropyForward) X(CrossEntropyBackward)                       \
  X(Add) X(Zero) X(Copy) X(OrderedSum) X(CountNonFinite)               \
  X(GranuleSquares) X(GranuleDigests) X(AdamW) X(RandomInit)
// clang-format on

namespace carousel::kernels {

#define CAROUSEL_OP_ALTERNATIVE(name) , name
// std::monostate stands first so that a default Op does nothing.
using Op = std::variant<std::monostate CAROUSEL_FOR_EACH_OP(CAROUSEL_OP_ALTERNATIVE)>;
#undef CAROUSEL_OP_ALTERNATIVE

}  // namespace carousel::kernels
