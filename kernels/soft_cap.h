// Soft cap y = a tanh(x / a): of the gates' pre-activations (a = 15) in xlstm_large ("xLSTM 7B",
// eq. 13).
#pragma once

#include "kernels/span.h"

namespace carousel::kernels {

struct SoftCapForward {
  Span x, y;  // [n]; y may be x
  double cap = 0;
};

// dx = dy * (1 - (y / a)^2)
struct SoftCapBackward {
  Span y, dy, dx;  // [n]; dx may be dy
  double cap = 0;
};

}  // namespace carousel::kernels
