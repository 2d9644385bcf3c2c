// LocalTrainer: a job's whole training loop in one process and one stage. Idea 3 of the design:
// this is the sentence that the distributed system must repeat bit for bit, whatever its stages,
// schedule, segments and threads.
#pragma once

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "cluster/data/batch_reader.h"
#include "cluster/job/model_layout.h"
#include "cluster/state_digest.h"
#include "kernels/backend.h"
#include "proto/job.pb.h"
#include "worker/gradient_tree.h"
#include "worker/micro_batch_inputs.h"
#include "worker/optimizer.h"
#include "worker/stage.h"
#include "worker/step_decision.h"

namespace carousel {

// Not thread-safe. Owns everything but the backend.
class LocalTrainer {
 public:
  // `job` is resolved (cluster/job/resolve.h). Weights are initialised from its seed.
  static absl::StatusOr<std::unique_ptr<LocalTrainer>> Create(const JobSpec& job,
                                                              kernels::Backend* backend);

  // One optimizer step. kAborted, with where it arose, if the loss or a gradient is not finite:
  // then nothing was applied.
  absl::StatusOr<StepDecision> Step();

  int64_t step() const { return step_; }      // steps applied
  int64_t tokens() const { return tokens_; }  // predicted so far
  absl::StatusOr<Digest> StateDigest();
  Stage& stage() { return *stage_; }
  const ModelLayout& layout() const { return layout_; }

 private:
  explicit LocalTrainer(const JobSpec& job) : job_(job) {}
  absl::Status Init(kernels::Backend* backend);

  const JobSpec job_;
  ModelLayout layout_;
  std::optional<BatchReader> reader_;
  std::unique_ptr<Stage> stage_;
  std::unique_ptr<MicroBatchInputs> inputs_;
  std::unique_ptr<GradientTree> gradients_;
  std::unique_ptr<Optimizer> optimizer_;
  int micro_batches_ = 1, leaves_ = 1;
  int64_t step_ = 0, tokens_ = 0;
};

}  // namespace carousel
