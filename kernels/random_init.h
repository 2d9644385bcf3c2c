// Initial values as a function of (seed, tensor, index): no stream of random numbers exists, so no
// order, rank or history can matter.
//
// Philox4x32-10 (Salmon et al. 2011) keyed by the seed, counter (index, tensor); normals by
// Box-Muller in double with our own log and cos, rounded once to the element type.
#pragma once

#include "kernels/span.h"

namespace carousel::kernels {

enum class InitKind {
  kConstant,  // a
  kNormal,    // mean 0, standard deviation a
  kUniform,   // in [-a, a]
  kLinspace,  // a ... b over the last `period` elements, repeated
  // -(a + (b - a) (j / (period - 1))^exponent), j = index mod period: the sLSTM's forget-gate bias.
  kPowerLaw,
};

struct RandomInit {
  InitKind kind = InitKind::kConstant;
  double a = 0, b = 0, exponent = 1;
  int64_t period = 1;
  uint64_t seed = 0;
  uint32_t tensor = 0;  // number of the tensor in the model
  int64_t first = 0;    // index of x's first element in its tensor
  Span x;
};

}  // namespace carousel::kernels
