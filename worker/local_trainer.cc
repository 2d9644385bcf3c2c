#include "worker/local_trainer.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/job/resolve.h"
#include "cluster/status_macros.h"
#include "worker/job_terms.h"

namespace carousel {

absl::StatusOr<std::unique_ptr<LocalTrainer>> LocalTrainer::Create(const JobSpec& job,
                                                                   kernels::Backend* backend) {
  std::unique_ptr<LocalTrainer> trainer(new LocalTrainer(job));
  CAROUSEL_RETURN_IF_ERROR(trainer->Init(backend));
  return trainer;
}

absl::Status LocalTrainer::Init(kernels::Backend* backend) {
  layout_ = LayOut(job_.model());
  micro_batches_ = static_cast<int>(MicroBatches(job_));
  leaves_ = static_cast<int>(GradientLeaves(job_.numerics().max_replicas()));
  const int segments = std::max<int>(1, job_.pipeline().segments());
  CAROUSEL_ASSIGN_OR_RETURN(reader_, OpenTrainingData(job_));

  const StageOptions options = {.model = &job_.model(),
                                .layout = &layout_,
                                .first_unit = 0,
                                .end_unit = static_cast<int>(layout_.units.size()),
                                .capacity = CapacityOf(job_, /*slots=*/1, segments)};
  const kernels::Stream stream = backend->NewStream();
  CAROUSEL_ASSIGN_OR_RETURN(stage_, Stage::Create(backend, stream, options));
  CAROUSEL_ASSIGN_OR_RETURN(MicroBatchInputs inputs,
                            MicroBatchInputs::Create(backend, stream, options.capacity, segments));
  inputs_ = std::make_unique<MicroBatchInputs>(std::move(inputs));
  CAROUSEL_ASSIGN_OR_RETURN(GradientTree gradients, GradientTree::Create(stage_.get(), leaves_));
  gradients_ = std::make_unique<GradientTree>(std::move(gradients));
  CAROUSEL_ASSIGN_OR_RETURN(Optimizer optimizer,
                            Optimizer::Create(stage_.get(), job_.optimizer().weight_decay_rule()));
  optimizer_ = std::make_unique<Optimizer>(std::move(optimizer));
  stage_->Initialize(job_.numerics().seed());
  return absl::OkStatus();
}

absl::StatusOr<StepDecision> LocalTrainer::Step() {
  StepEvidence evidence;
  stage_->ResetStepCounters();
  for (int leaf = 0; leaf < leaves_; ++leaf) {
    gradients_->BeginLeaf();
    for (int i = micro_batches_ * leaf / leaves_; i < micro_batches_ * (leaf + 1) / leaves_; ++i) {
      CAROUSEL_ASSIGN_OR_RETURN(MicroBatch micro_batch, ReadMicroBatch(*reader_, job_, step_, i));
      evidence.tokens += micro_batch.predicted;
      CAROUSEL_RETURN_IF_ERROR(inputs_->Load(/*slot=*/0, std::move(micro_batch)));
      for (int s = 0; s < inputs_->segments(); ++s) stage_->Forward(inputs_->At(0, s));
      for (int s = inputs_->segments() - 1; s >= 0; --s) stage_->BackwardInput(inputs_->At(0, s));
      stage_->BackwardWeight(inputs_->Run(0, 0, inputs_->segments()));
    }
    gradients_->EndLeaf(leaf);
  }
  if (job_.model().tie_embeddings()) gradients_->AddTied(stage_->tied_gradient());

  CAROUSEL_ASSIGN_OR_RETURN(evidence.loss_sum, stage_->LossSum());
  CAROUSEL_ASSIGN_OR_RETURN(evidence.squares, optimizer_->GradientSquares());
  CAROUSEL_ASSIGN_OR_RETURN(evidence.non_finite, optimizer_->NonFinite());
  StepDecision decision = DecideStep(job_, layout_, step_, evidence);
  if (!decision.apply)
    return absl::AbortedError(
        absl::StrCat("step ", step_ + 1, " is not applied: ", decision.reason));
  CAROUSEL_RETURN_IF_ERROR(optimizer_->Apply(decision.update));
  ++step_;
  tokens_ += evidence.tokens;
  return decision;
}

absl::StatusOr<Digest> LocalTrainer::StateDigest() {
  CAROUSEL_ASSIGN_OR_RETURN(const std::vector<Digest> units, optimizer_->UnitDigests());
  return carousel::StateDigest(units, step_, step_ * job_.data().batch_size());
}

}  // namespace carousel
