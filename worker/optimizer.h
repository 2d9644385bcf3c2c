// Optimizer: one stage's part in the end of a step: sums of squares of its gradients, the update
// once it is decided, and digests of the state.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "cluster/state_digest.h"
#include "proto/job.pb.h"
#include "worker/stage.h"
#include "worker/step_decision.h"

namespace carousel {

// Not thread-safe; borrows the stage. Every call waits for the device: the end of a step is where a
// pipeline is drained.
class Optimizer {
 public:
  static absl::StatusOr<Optimizer> Create(Stage* stage, WeightDecayRule rule);

  // Sums of squares of the stage's gradients, (unit, tensor, granule) ascending.
  absl::StatusOr<std::vector<double>> GradientSquares();

  // Elements of each unit's output that were not finite in this step.
  absl::StatusOr<std::vector<int32_t>> NonFinite();

  // AdamW on every tensor of the stage.
  absl::Status Apply(const kernels::AdamWStep& update);

  // Digest of each unit's state: XXH3-128 over its granules' digests in key order (tensor; weight,
  // m, v; granule).
  absl::StatusOr<std::vector<Digest>> UnitDigests();

 private:
  Stage* stage_ = nullptr;
  WeightDecayRule rule_ = NXAI;
  int64_t granules_ = 0;  // of all tensors of the stage, one part
  kernels::Buffer partials_, digests_;
};

}  // namespace carousel
