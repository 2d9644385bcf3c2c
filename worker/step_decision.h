// StepDecision: what the last stage decides about a step, at one place and once, before any weight
// changes.
//
// A step is a transaction. Its loss, its number of predicted tokens and the sums of squares of all
// gradients come together at the last stage, in (unit, tensor, granule) order; the decision goes
// back with every scalar that the update needs, as bits.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cluster/job/model_layout.h"
#include "kernels/adamw.h"
#include "proto/job.pb.h"

namespace carousel {

// What the stages know at the end of a step.
struct StepEvidence {
  double loss_sum = 0;          // over the step's predicted tokens
  int64_t tokens = 0;           // N
  std::vector<double> squares;  // sum of squares of every granule of every gradient, (unit, tensor,
                                // granule) ascending
  std::vector<int32_t> non_finite;  // by unit: elements of its output that were not finite
};

struct StepDecision {
  bool apply = false;
  std::string reason;    // why not: which loss, unit or tensor was not finite, or what is too large
  double loss = 0;       // loss_sum / N
  double grad_norm = 0;  // of the gradient of the mean loss, before clipping
  kernels::AdamWStep update;  // weight_decay as for tensors that decay
  bool checkpoint = false;    // at the boundary after this step
  bool stop = false;
};

// The decision for `step` (steps applied before it). Pure: a function of the job and the evidence.
StepDecision DecideStep(const JobSpec& job, const ModelLayout& layout, int64_t step,
                        const StepEvidence& evidence);

}  // namespace carousel
