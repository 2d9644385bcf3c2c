#include "kernels/learning_rate.h"

#include <cmath>

#include "kernels/scalar_math.h"

namespace carousel::kernels {
namespace {

constexpr double kPi = 0x1.921fb54442d18p+1;

double Cosine(const LearningRateSchedule& s, int64_t step) {
  const double least = s.peak * s.final_factor;
  if (step >= s.steps) return least;
  const double turn = kPi * static_cast<double>(step - s.warmup_steps) /
                      static_cast<double>(s.steps - s.warmup_steps);
  return least + 0.5 * (1 + OwnCos(turn)) * (s.peak - least);
}

double Exponential(const LearningRateSchedule& s, int64_t step) {
  const double least = s.peak * s.final_factor;
  const int64_t decay = s.steps - s.warmup_steps - s.cooldown_steps, into = step - s.warmup_steps;
  if (into < decay)
    return s.peak * OwnPow(s.final_factor, static_cast<double>(into) / static_cast<double>(decay));
  const int64_t left = s.steps - step;
  if (left <= 0 || s.cooldown_steps == 0) return s.cooldown_steps == 0 ? least : 0;
  return least * static_cast<double>(left) / static_cast<double>(s.cooldown_steps);
}

}  // namespace

double LearningRate(const LearningRateSchedule& schedule, int64_t step) {
  if (step < schedule.warmup_steps)
    return schedule.peak * static_cast<double>(step) / static_cast<double>(schedule.warmup_steps);
  switch (schedule.shape) {
    case LearningRateSchedule::Shape::kCosine:
      return Cosine(schedule, step);
    case LearningRateSchedule::Shape::kExponential:
      return Exponential(schedule, step);
    case LearningRateSchedule::Shape::kConstant:
      return schedule.peak;
  }
  return schedule.peak;
}

BiasCorrections AdamWBiasCorrections(double beta1, double beta2, int64_t t) {
  return {1 - OwnPower(beta1, t), std::sqrt(1 - OwnPower(beta2, t))};
}

double ClipFactor(double norm, double clip) {
  if (clip <= 0) return 1;
  const double factor = clip / (norm + 1e-6);
  return factor < 1 ? factor : 1;
}

}  // namespace carousel::kernels
