// Training steps with AdamW, learning-rate schedule, clipping and weight decay, on what trains:
// stage, gradient tree, step decision and optimizer. One leaf, one micro-batch, the file's batches.

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/status_macros.h"
#include "tests/golden/cases.h"
#include "tests/golden/golden_stage.h"
#include "worker/gradient_tree.h"
#include "worker/optimizer.h"
#include "worker/step_decision.h"

namespace carousel::golden {
namespace {

using Tokens = std::vector<int32_t>;

struct Trajectory {
  JobSpec job;
  int64_t steps = 0, batch = 0, length = 0;  // length S: predicted tokens of a sequence
  int64_t chunk = 0;
  Tokens tokens;  // [steps, B, S + 1]
};

absl::StatusOr<JobSpec> ReadJob(const GoldenFile& file) {
  JobSpec job;
  CAROUSEL_ASSIGN_OR_RETURN(*job.mutable_model(), ReadModel(file, "mdetach.final."));
  job.set_steps(file.Int("decay_until", file.Int("steps", 0)));
  LearningRateSpec& rate = *job.mutable_learning_rate();
  rate.set_shape(COSINE);
  rate.set_peak(file.Number("lr", 0));
  rate.set_warmup_steps(file.Int("warmup", 0));
  rate.set_final_factor(file.Number("lr_decay_factor", 0));
  OptimizerSpec& optimizer = *job.mutable_optimizer();
  const auto betas = file.config().find("betas");
  if (betas == file.config().end() || !betas->is_array() || betas->size() != 2 ||
      !(*betas)[0].is_number() || !(*betas)[1].is_number()) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.path(), ": config.betas is not a pair of numbers"));
  }
  optimizer.set_beta1((*betas)[0].get<double>());
  optimizer.set_beta2((*betas)[1].get<double>());
  optimizer.set_epsilon(file.Number("adam_eps", 1e-8));
  optimizer.set_weight_decay(file.Number("wd", 0));
  optimizer.set_clip_norm(file.Number("clip", 0));
  optimizer.set_weight_decay_rule(NXAI);
  return job;
}

absl::StatusOr<Trajectory> ReadTrajectory(const GoldenFile& file) {
  Trajectory trajectory;
  CAROUSEL_ASSIGN_OR_RETURN(trajectory.job, ReadJob(file));
  CAROUSEL_ASSIGN_OR_RETURN(trajectory.chunk, ChunkOf(file));
  CAROUSEL_ASSIGN_OR_RETURN(const Shape shape, file.ShapeOf("tokens"));
  if (shape.size() != 3 || shape[2] < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.path(), ": tokens is ", Text(shape), " instead of [steps, B, S + 1]"));
  }
  trajectory.steps = shape[0], trajectory.batch = shape[1], trajectory.length = shape[2] - 1;
  CAROUSEL_ASSIGN_OR_RETURN(
      trajectory.tokens, file.GetTokens("tokens", shape, 0, trajectory.job.model().vocab_size()));
  return trajectory;
}

// The weights before the first step: in the file itself or in NAME.f32.safetensors beside it.
absl::Status LoadInitialWeights(const GoldenFile& file, GoldenStage& golden) {
  if (!file.Names("init.").empty()) return golden.LoadWeights(file, "init.");
  std::string path = file.path();
  const size_t ending = path.rfind(".f64.");
  if (ending == std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": no initial weights (init.*)"));
  }
  path.replace(ending, 5, ".f32.");
  CAROUSEL_ASSIGN_OR_RETURN(const GoldenFile beside, GoldenFile::Open(path));
  return golden.LoadWeights(beside, "init.");
}

// The file says which parameters decay: exactly ours.
absl::Status CheckDecay(const GoldenFile& file, const GoldenStage& golden) {
  CAROUSEL_ASSIGN_OR_RETURN(const auto decaying, file.NameList("weight_decay_params"));
  CAROUSEL_ASSIGN_OR_RETURN(const auto staying, file.NameList("no_weight_decay_params"));
  for (const GoldenStage::Named& named : golden.parameters()) {
    const bool decays = named.parameter->layout->Decays(NXAI);
    const auto& list = decays ? decaying : staying;
    if (std::find(list.begin(), list.end(), named.name) != list.end()) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("weight decay: ours ", decays ? "decays " : "does not decay ", named.name,
                     ", the reference does otherwise"));
  }
  return absl::OkStatus();
}

class Trainer {
 public:
  static absl::StatusOr<std::unique_ptr<Trainer>> Create(const GoldenFile& file, Device& device,
                                                         const Trajectory& trajectory) {
    std::unique_ptr<Trainer> trainer(new Trainer(trajectory));
    CAROUSEL_ASSIGN_OR_RETURN(trainer->golden_, GoldenStage::Create(device, trajectory.job.model(),
                                                                    {.steps = trajectory.length,
                                                                     .batch = trajectory.batch,
                                                                     .chunk = trajectory.chunk}));
    CAROUSEL_RETURN_IF_ERROR(LoadInitialWeights(file, *trainer->golden_));
    CAROUSEL_RETURN_IF_ERROR(CheckDecay(file, *trainer->golden_));
    Stage* stage = &trainer->golden_->stage();
    CAROUSEL_ASSIGN_OR_RETURN(GradientTree tree, GradientTree::Create(stage, /*leaves=*/1));
    trainer->tree_ = std::make_unique<GradientTree>(std::move(tree));
    CAROUSEL_ASSIGN_OR_RETURN(Optimizer optimizer, Optimizer::Create(stage, NXAI));
    trainer->optimizer_ = std::make_unique<Optimizer>(std::move(optimizer));
    return trainer;
  }

  GoldenStage& golden() { return *golden_; }

  // Forward and backward on the batch of `step`; leaves the gradient of the summed loss.
  void Backward(int64_t step) {
    LoadBatch(step);
    Stage& stage = golden_->stage();
    const Segment whole = golden_->At(0, trajectory_.length, 0, /*last=*/true);
    stage.ResetStepCounters();
    tree_->BeginLeaf();
    stage.Forward(whole);
    stage.BackwardInput(whole);
    stage.BackwardWeight(whole);
    tree_->EndLeaf(0);
    if (!stage.tied_gradient().empty()) tree_->AddTied(stage.tied_gradient());
  }

  // The update that follows.
  absl::StatusOr<StepDecision> Update(int64_t step) {
    StepEvidence evidence;
    evidence.tokens = predicted();
    CAROUSEL_ASSIGN_OR_RETURN(evidence.loss_sum, golden_->stage().LossSum());
    CAROUSEL_ASSIGN_OR_RETURN(evidence.squares, optimizer_->GradientSquares());
    CAROUSEL_ASSIGN_OR_RETURN(evidence.non_finite, optimizer_->NonFinite());
    StepDecision decision = DecideStep(trajectory_.job, golden_->layout(), step, evidence);
    if (!decision.apply) return absl::AbortedError(decision.reason);
    CAROUSEL_RETURN_IF_ERROR(optimizer_->Apply(decision.update));
    return decision;
  }

  int64_t predicted() const { return trajectory_.batch * trajectory_.length; }

  // 2-norm of all weights.
  double ParameterNorm() const {
    double squares = 0;
    for (const GoldenStage::Named& named : golden_->parameters()) {
      for (double w : golden_->device().Download(named.parameter->weight)) squares += w * w;
    }
    return std::sqrt(squares);
  }

 private:
  explicit Trainer(const Trajectory& trajectory) : trajectory_(trajectory) {}

  void LoadBatch(int64_t step) {
    const int64_t window = trajectory_.length + 1;
    Tokens inputs, labels;
    for (int64_t b = 0; b < trajectory_.batch; ++b) {
      const auto row = trajectory_.tokens.begin() + (step * trajectory_.batch + b) * window;
      inputs.insert(inputs.end(), row, row + trajectory_.length);
      labels.insert(labels.end(), row + 1, row + window);
    }
    golden_->LoadTokens(inputs, labels);
  }

  const Trajectory& trajectory_;
  std::unique_ptr<GoldenStage> golden_;
  std::unique_ptr<GradientTree> tree_;
  std::unique_ptr<Optimizer> optimizer_;
};

// Weights or moments of all tensors as `prefix`NAME, if the file has them.
absl::Status CheckPart(const GoldenFile& file, GoldenStage& golden, Part part,
                       const std::string& prefix, Comparison& comparison) {
  if (file.Names(prefix).empty()) return absl::OkStatus();
  for (const GoldenStage::Named& named : golden.parameters()) {
    CAROUSEL_RETURN_IF_ERROR(
        comparison.Check(Group::kWeight, prefix + named.name,
                         golden.InFileLayout(named, named.parameter->part(part))));
  }
  return absl::OkStatus();
}

// The gradient of the mean loss, before clipping.
absl::Status CheckRawGradient(const GoldenFile& file, Trainer& trainer, int64_t step,
                              Comparison& comparison) {
  const std::string prefix = absl::StrCat("mdetach.rawgrad", step + 1, ".");
  if (file.Names(prefix).empty()) return absl::OkStatus();
  GoldenStage& golden = trainer.golden();
  for (const GoldenStage::Named& named : golden.parameters()) {
    Values gradient = golden.InFileLayout(named, named.parameter->gradient);
    for (double& g : gradient) g /= static_cast<double>(trainer.predicted());
    CAROUSEL_RETURN_IF_ERROR(comparison.Check(Group::kGradient, prefix + named.name, gradient));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunTrajectory(const GoldenFile& file, Device& device, Comparison& comparison) {
  CAROUSEL_ASSIGN_OR_RETURN(const Trajectory trajectory, ReadTrajectory(file));
  CAROUSEL_ASSIGN_OR_RETURN(const std::unique_ptr<Trainer> trainer,
                            Trainer::Create(file, device, trajectory));
  // A float run drifts from the double one: its loss, norms and final weights are what counts.
  const bool wide = device.dtype() == kernels::DType::kF64;
  Values loss, grad_norm, rate, parameter_norm;
  for (int64_t step = 0; step < trajectory.steps; ++step) {
    trainer->Backward(step);
    if (wide) CAROUSEL_RETURN_IF_ERROR(CheckRawGradient(file, *trainer, step, comparison));
    CAROUSEL_ASSIGN_OR_RETURN(const StepDecision decision, trainer->Update(step));
    loss.push_back(decision.loss);
    grad_norm.push_back(decision.grad_norm);
    rate.push_back(decision.update.learning_rate);
    parameter_norm.push_back(trainer->ParameterNorm());
    if (wide) {
      CAROUSEL_RETURN_IF_ERROR(CheckPart(file, trainer->golden(), Part::kWeight,
                                         absl::StrCat("mdetach.after", step + 1, "."), comparison));
    }
  }
  CAROUSEL_RETURN_IF_ERROR(comparison.Check(Group::kOutput, "mdetach.loss", loss));
  CAROUSEL_RETURN_IF_ERROR(comparison.Check(Group::kOutput, "mdetach.lr", rate));
  CAROUSEL_RETURN_IF_ERROR(comparison.Check(Group::kOutput, "mdetach.param_norm", parameter_norm));
  CAROUSEL_RETURN_IF_ERROR(comparison.Check(Group::kGradient, "mdetach.grad_norm", grad_norm));
  CAROUSEL_RETURN_IF_ERROR(
      CheckPart(file, trainer->golden(), Part::kWeight, "mdetach.final.", comparison));
  if (!wide) return absl::OkStatus();
  CAROUSEL_RETURN_IF_ERROR(
      CheckPart(file, trainer->golden(), Part::kM, "mdetach.adam_m.", comparison));
  return CheckPart(file, trainer->golden(), Part::kV, "mdetach.adam_v.", comparison);
}

}  // namespace carousel::golden
