// AdamW with decoupled weight decay (Loshchilov & Hutter 2019), in the order of torch.optim.AdamW:
//
//   g = gradient * scale         scale = clip factor / N, from one place
//   w = w * (1 - lr * decay)
//   m = b1 m + (1 - b1) g
//   v = b2 v + (1 - b2) g^2
//   w = w - (lr / c1) * m / (sqrt(v) / c2 + eps)
//
// with c1 = 1 - b1^t and c2 = sqrt(1 - b2^t) at update t.
//
// The step's scalars are doubles computed at one place and sent as bits; each is rounded once to
// the element type.
#pragma once

#include "kernels/span.h"

namespace carousel::kernels {

struct AdamWStep {
  double scale = 1, learning_rate = 0;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0;
  double correction1 = 1, correction2 = 1;  // c1, c2
};

struct AdamW {
  Span weight, m, v;  // [n], updated
  Span gradient;      // [n]
  AdamWStep step;
};

}  // namespace carousel::kernels
