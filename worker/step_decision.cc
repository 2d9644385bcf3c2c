#include "worker/step_decision.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "kernels/granule.h"
#include "kernels/learning_rate.h"
#include "worker/job_terms.h"

namespace carousel {
namespace {

// The first unit whose output was not finite, or the last tensor (gradients flow from last to
// first) whose gradient was not.
std::string WhereItArose(const ModelLayout& layout, const StepEvidence& evidence) {
  for (size_t unit = 0; unit < evidence.non_finite.size(); ++unit) {
    if (evidence.non_finite[unit] > 0) {
      return absl::StrCat(evidence.non_finite[unit], " values of the output of unit ", unit, " (",
                          UnitName(layout.units[unit]), ") were not finite");
    }
  }
  std::string where;
  size_t granule = 0;
  for (size_t unit = 0; unit < layout.units.size(); ++unit) {
    for (const TensorLayout& tensor : layout.units[unit].tensors) {
      for (int64_t g = 0; g < kernels::GranuleCount(tensor.Elements()); ++g, ++granule) {
        if (!std::isfinite(evidence.squares[granule]))
          where =
              absl::StrCat("the gradient of ", tensor.name, " (unit ", unit, ") was not finite");
      }
    }
  }
  if (!where.empty()) return where;
  return std::isfinite(evidence.loss_sum) ? "the norm of the gradients overflowed"
                                          : "the loss was not finite";
}

// AdamW squares every element of the clipped gradient in f32, where a square at or above 2^128
// overflows: the second moment would be infinite for good, and its weight never change again. No
// element is larger than the norm. A little below 2^64, for what rounding adds.
constexpr double kClippedNormLimit = 1.8e19;

std::string WhyTheNormIsTooLarge(double norm, double clip_norm) {
  return absl::StrCat("the norm of the gradient is ", norm, ", which optimizer.clip_norm ",
                      clip_norm, clip_norm > 0 ? "" : " (off)", " does not bring below ",
                      kClippedNormLimit,
                      ", so second moments would overflow; set optimizer.clip_norm, for example to "
                      "1, or lower learning_rate.peak");
}

kernels::LearningRateSchedule ScheduleOf(const JobSpec& job) {
  const LearningRateSpec& spec = job.learning_rate();
  kernels::LearningRateSchedule schedule;
  switch (spec.shape()) {
    case EXPONENTIAL:
      schedule.shape = kernels::LearningRateSchedule::Shape::kExponential;
      break;
    case CONSTANT:
      schedule.shape = kernels::LearningRateSchedule::Shape::kConstant;
      break;
    default:
      schedule.shape = kernels::LearningRateSchedule::Shape::kCosine;
      break;
  }
  schedule.peak = spec.peak();
  schedule.warmup_steps = spec.warmup_steps();
  schedule.final_factor = spec.final_factor();
  schedule.cooldown_steps = spec.cooldown_steps();
  schedule.steps = job.steps();
  return schedule;
}

}  // namespace

StepDecision DecideStep(const JobSpec& job, const ModelLayout& layout, int64_t step,
                        const StepEvidence& evidence) {
  double squares = 0;
  for (double partial : evidence.squares) squares += partial;
  const double tokens = static_cast<double>(evidence.tokens);

  StepDecision decision;
  decision.loss = evidence.loss_sum / tokens;
  decision.grad_norm = std::sqrt(squares) / tokens;
  decision.apply = std::isfinite(decision.loss) && std::isfinite(squares);
  if (!decision.apply) {
    decision.reason = WhereItArose(layout, evidence);
    return decision;
  }
  const OptimizerSpec& optimizer = job.optimizer();
  const double clip = kernels::ClipFactor(decision.grad_norm, optimizer.clip_norm());
  if (decision.grad_norm * clip >= kClippedNormLimit) {
    decision.apply = false;
    decision.reason = WhyTheNormIsTooLarge(decision.grad_norm, optimizer.clip_norm());
    return decision;
  }
  kernels::AdamWStep& update = decision.update;
  update.scale = clip / tokens;
  update.learning_rate = kernels::LearningRate(ScheduleOf(job), step);
  update.beta1 = optimizer.beta1();
  update.beta2 = optimizer.beta2();
  update.epsilon = optimizer.epsilon();
  update.weight_decay = optimizer.weight_decay();
  const kernels::BiasCorrections corrections =
      kernels::AdamWBiasCorrections(optimizer.beta1(), optimizer.beta2(), step + 1);
  update.correction1 = corrections.first;
  update.correction2 = corrections.second;
  return decision;
}

}  // namespace carousel
