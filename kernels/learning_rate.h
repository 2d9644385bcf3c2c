// Learning rate, bias corrections and clip factor of a step: scalars that are computed at one place
// and sent as bits. Pure functions on scalar_math.h.
#pragma once

#include <cstdint>

namespace carousel::kernels {

struct LearningRateSchedule {
  enum class Shape { kCosine, kExponential, kConstant };
  Shape shape = Shape::kCosine;
  double peak = 0;
  double final_factor = 0.1;   // of the peak, reached at the end of the decay
  int64_t warmup_steps = 0;    // linear from 0
  int64_t cooldown_steps = 0;  // exponential only: linear to 0 over the last steps
  int64_t steps = 0;           // of the whole job
};

// Rate of step `step`, counted from 0. With w warm-up steps, c cool-down steps, T steps in all and
// min = peak * final_factor:
//
//   warm-up      peak * step / w                            for step < w: 0 at the first step
//   cosine       min + (peak - min) (1 + cos(pi p)) / 2     p = (step - w) / (T - w)
//                min                                        from T on
//   exponential  peak * final_factor^p                      p = (step - w) / (T - w - c)
//                min * (T - step) / c                       over the last c steps
//                0, or min if c = 0                         from T on
//   constant     peak
double LearningRate(const LearningRateSchedule& schedule, int64_t step);

// 1 - beta1^t and sqrt(1 - beta2^t) for update number t >= 1.
struct BiasCorrections {
  double first = 1, second = 1;
};
BiasCorrections AdamWBiasCorrections(double beta1, double beta2, int64_t t);

// min(1, clip / (norm + 1e-6)), torch's clip_grad_norm_; 1 for clip 0.
double ClipFactor(double norm, double clip);

}  // namespace carousel::kernels
