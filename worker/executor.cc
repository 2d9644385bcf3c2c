#include "worker/executor.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/check.h"
#include "cluster/job/resolve.h"
#include "cluster/status_macros.h"
#include "worker/job_terms.h"
#include "worker/step_records.h"

namespace carousel {

using kernels::Event;
using kernels::Span;

namespace {

class Stopwatch {
 public:
  explicit Stopwatch(double* sum) : sum_(sum), start_(std::chrono::steady_clock::now()) {}
  ~Stopwatch() {
    *sum_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  double* const sum_;
  const std::chrono::steady_clock::time_point start_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Executor>> Executor::Create(const Parts& parts) {
  std::unique_ptr<Executor> executor(new Executor(parts));
  CAROUSEL_RETURN_IF_ERROR(executor->Init());
  return executor;
}

absl::Status Executor::Init() {
  leaves_ = static_cast<int>(GradientLeaves(p_.job->numerics().max_replicas()));
  micro_batches_per_leaf_ = p_.plan->micro_batches() / leaves_;
  Stage& stage = *p_.stage;
  CAROUSEL_ASSIGN_OR_RETURN(
      MicroBatchInputs inputs,
      MicroBatchInputs::Create(
          &stage.backend(), stage.stream(),
          CapacityOf(*p_.job, p_.plan->stages(p_.stage_index).slots(), p_.plan->segments()),
          p_.plan->segments()));
  inputs_ = std::make_unique<MicroBatchInputs>(std::move(inputs));
  CAROUSEL_ASSIGN_OR_RETURN(GradientTree gradients, GradientTree::Create(&stage, leaves_));
  gradients_ = std::make_unique<GradientTree>(std::move(gradients));
  CAROUSEL_ASSIGN_OR_RETURN(Optimizer optimizer,
                            Optimizer::Create(&stage, p_.job->optimizer().weight_decay_rule()));
  optimizer_ = std::make_unique<Optimizer>(std::move(optimizer));
  if (tied_across() && first()) {
    CAROUSEL_ASSIGN_OR_RETURN(
        tied_gradient_,
        stage.backend().Allocate(stage.parameters().front().tensors().front().weight.bytes()));
  }
  return absl::OkStatus();
}

absl::StatusOr<StepDecision> Executor::RunStep(int64_t step, const Boundary& boundary) {
  times_ = {};
  Stopwatch total(&times_.total);
  tokens_ = 0;
  p_.stage->ResetStepCounters();
  CAROUSEL_RETURN_IF_ERROR(RunOps(step));
  CAROUSEL_RETURN_IF_ERROR(CombineTied(step));
  CAROUSEL_ASSIGN_OR_RETURN(StepEvidence evidence, GatherEvidence(step));
  CAROUSEL_ASSIGN_OR_RETURN(StepDecision decision, AgreeOn(step, std::move(evidence), boundary));
  if (!decision.apply) return decision;
  CAROUSEL_RETURN_IF_ERROR(optimizer_->Apply(decision.update));
  CAROUSEL_RETURN_IF_ERROR(ShareTiedMatrix(step + 1));
  return decision;
}

absl::Status Executor::RunOps(int64_t step) {
  const auto& ops = p_.plan->stages(p_.stage_index).ops();
  for (int i = 0; i < ops.size(); ++i) {
    const StageOp& op = ops[i];
    switch (op.kind()) {
      case FORWARD:
        if (op.segment() == 0) CAROUSEL_RETURN_IF_ERROR(LoadMicroBatch(step, op.micro_batch()));
        Forward(step, op);
        break;
      case BACKWARD:
        Backward(step, op);
        break;
      case WEIGHT_GRADIENT: {
        // Adjacent segments run as one: the same chains, in fewer and faster calls.
        const int end = op.segment() + 1;
        int first = op.segment();
        while (i + 1 < ops.size() && ops[i + 1].kind() == WEIGHT_GRADIENT &&
               ops[i + 1].micro_batch() == op.micro_batch() && ops[i + 1].segment() == first - 1) {
          first = ops[++i].segment();
        }
        WeightGradient(op.micro_batch(), first, end);
        break;
      }
      default:
        return absl::InternalError(absl::StrCat("the plan of stage ", p_.stage_index,
                                                " has an operation of kind ", op.kind()));
    }
  }
  return p_.stage->backend().Record(p_.stage->stream()).Wait();
}

absl::Status Executor::LoadMicroBatch(int64_t step, int micro_batch) {
  CAROUSEL_ASSIGN_OR_RETURN(MicroBatch rows,
                            ReadMicroBatch(*p_.reader, *p_.job, step, micro_batch));
  tokens_ += rows.predicted;
  return inputs_->Load(slot(micro_batch), std::move(rows));
}

void Executor::WaitFor(const Event& event) {
  Stopwatch waiting(&times_.waiting);
  p_.stage->backend().Wait(p_.stage->stream(), event);
}

void Executor::Forward(int64_t step, const StageOp& op) {
  Stage& stage = *p_.stage;
  const Segment segment = inputs_->At(slot(op.micro_batch()), op.segment());
  const Tag tag = {step, ACTIVATION, op.micro_batch(), op.segment()};
  if (!first())
    WaitFor(p_.transport->Recv(p_.stage_index - 1, tag, stage.Input(segment),
                               stage.backend().Record(stage.stream())));
  stage.Forward(segment);
  if (!last())
    p_.transport->Send(p_.stage_index + 1, tag, stage.Output(segment),
                       stage.backend().Record(stage.stream()));
}

void Executor::Backward(int64_t step, const StageOp& op) {
  Stage& stage = *p_.stage;
  const Segment segment = inputs_->At(slot(op.micro_batch()), op.segment());
  const Tag tag = {step, GRADIENT, op.micro_batch(), op.segment()};
  if (!last())
    WaitFor(p_.transport->Recv(p_.stage_index + 1, tag, stage.OutputGradient(segment),
                               stage.backend().Record(stage.stream())));
  stage.backend().Wait(stage.stream(), gradient_sent_);
  stage.BackwardInput(segment);
  if (!first()) {
    gradient_sent_ = p_.transport->Send(p_.stage_index - 1, tag, stage.InputGradient(segment),
                                        stage.backend().Record(stage.stream()));
  }
}

void Executor::WeightGradient(int micro_batch, int first_segment, int end_segment) {
  const bool begins_leaf =
      micro_batch % micro_batches_per_leaf_ == 0 && end_segment == p_.plan->segments();
  const bool ends_leaf = (micro_batch + 1) % micro_batches_per_leaf_ == 0 && first_segment == 0;
  if (begins_leaf) gradients_->BeginLeaf();
  p_.stage->BackwardWeight(inputs_->Run(slot(micro_batch), first_segment, end_segment));
  if (ends_leaf) gradients_->EndLeaf(micro_batch / micro_batches_per_leaf_);
}

absl::Status Executor::CombineTied(int64_t step) {
  if (!p_.job->model().tie_embeddings()) return absl::OkStatus();
  Stage& stage = *p_.stage;
  const Tag tag = {step, TIED_GRADIENT};
  if (stages() == 1) {
    gradients_->AddTied(stage.tied_gradient());
  } else if (last()) {
    return p_.transport->Send(0, tag, stage.tied_gradient(), stage.backend().Record(stage.stream()))
        .Wait();
  } else if (first()) {
    const Span head =
        tied_gradient_.As(stage.parameters().front().tensors().front().weight.dtype());
    WaitFor(p_.transport->Recv(stages() - 1, tag, head, stage.backend().Record(stage.stream())));
    gradients_->AddTied(head);
  }
  return absl::OkStatus();
}

absl::Status Executor::ShareTiedMatrix(int64_t step) {
  if (!tied_across()) return absl::OkStatus();
  Stage& stage = *p_.stage;
  const Tag tag = {step, TIED_WEIGHT};
  if (first()) {
    const Span& matrix = stage.parameters().front().tensors().front().weight;
    return p_.transport->Send(stages() - 1, tag, matrix, stage.backend().Record(stage.stream()))
        .Wait();
  }
  if (last())
    WaitFor(
        p_.transport->Recv(0, tag, stage.tied_matrix(), stage.backend().Record(stage.stream())));
  return absl::OkStatus();
}

absl::StatusOr<StepEvidence> Executor::GatherEvidence(int64_t step) {
  StepEvidence evidence;
  CAROUSEL_ASSIGN_OR_RETURN(const std::vector<double> squares, optimizer_->GradientSquares());
  CAROUSEL_ASSIGN_OR_RETURN(const std::vector<int32_t> non_finite, optimizer_->NonFinite());
  if (!first()) {
    Stopwatch waiting(&times_.waiting);
    CAROUSEL_ASSIGN_OR_RETURN(
        const std::string record,
        p_.transport->ReceiveBytes(p_.stage_index - 1, {step, NORM_PARTIALS}));
    CAROUSEL_ASSIGN_OR_RETURN(evidence, DecodeEvidence(record));
    CAROUSEL_RETURN_IF_ERROR(CheckEvidence(evidence, *p_.layout, p_.stage->first_unit()));
  }
  evidence.squares.insert(evidence.squares.end(), squares.begin(), squares.end());
  evidence.non_finite.insert(evidence.non_finite.end(), non_finite.begin(), non_finite.end());
  if (last()) {
    CAROUSEL_ASSIGN_OR_RETURN(evidence.loss_sum, p_.stage->LossSum());
    evidence.tokens = tokens_;
  }
  return evidence;
}

absl::StatusOr<StepDecision> Executor::AgreeOn(int64_t step, StepEvidence evidence,
                                               const Boundary& boundary) {
  StepDecision decision;
  if (last()) {
    decision = DecideStep(*p_.job, *p_.layout, step, evidence);
    decision.checkpoint = boundary.checkpoint;
    decision.stop = boundary.stop;
  } else {
    CAROUSEL_RETURN_IF_ERROR(p_.transport->SendBytes(p_.stage_index + 1, {step, NORM_PARTIALS},
                                                     EncodeEvidence(evidence)));
    Stopwatch waiting(&times_.waiting);
    CAROUSEL_ASSIGN_OR_RETURN(const std::string record,
                              p_.transport->ReceiveBytes(p_.stage_index + 1, {step, DECISION}));
    CAROUSEL_ASSIGN_OR_RETURN(decision, DecodeDecision(record));
  }
  if (!first())
    CAROUSEL_RETURN_IF_ERROR(
        p_.transport->SendBytes(p_.stage_index - 1, {step, DECISION}, EncodeDecision(decision)));
  return decision;
}

}  // namespace carousel
