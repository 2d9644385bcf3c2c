#include "worker/executor.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/check.h"
#include "cluster/job/resolve.h"
#include "cluster/status_macros.h"
#include "cluster/stopwatch.h"
#include "worker/job_terms.h"
#include "worker/step_records.h"

namespace carousel {

using kernels::Event;
using kernels::Span;

namespace {

// Adds the time of its life to a sum.
class Timed {
 public:
  explicit Timed(double* sum) : sum_(sum) {}
  ~Timed() { *sum_ += stopwatch_.Seconds(); }
  Timed(const Timed&) = delete;
  Timed& operator=(const Timed&) = delete;

 private:
  double* const sum_;
  const Stopwatch stopwatch_;
};

// The first segment of the run of adjacent weight gradients, descending, that begins at `*i`; `*i`
// goes to its last operation. They run as one: the same chains, in fewer and faster calls.
int TakeRunOfWeightGradients(const google::protobuf::RepeatedPtrField<StageOp>& ops, int* i) {
  for (; *i + 1 < ops.size(); ++*i) {
    const StageOp &op = ops[*i], &next = ops[*i + 1];
    if (next.kind() != WEIGHT_GRADIENT || next.micro_batch() != op.micro_batch() ||
        next.segment() != op.segment() - 1)
      break;
  }
  return ops[*i].segment();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Executor>> Executor::Create(const Parts& parts) {
  std::unique_ptr<Executor> executor(new Executor(parts));
  CAROUSEL_RETURN_IF_ERROR(executor->Init());
  return executor;
}

// Who owns the stage may free its memory next.
Executor::~Executor() { tied_sent_.Wait().IgnoreError(); }

absl::Status Executor::Init() {
  gradient_sent_.resize(parts_.plan->segments());
  leaves_ = static_cast<int>(GradientLeaves(parts_.job->numerics().max_replicas()));
  micro_batches_per_leaf_ = parts_.plan->micro_batches() / leaves_;
  Stage& stage = *parts_.stage;
  CAROUSEL_ASSIGN_OR_RETURN(
      MicroBatchInputs inputs,
      MicroBatchInputs::Create(
          &stage.backend(), stage.stream(),
          CapacityOf(*parts_.job, parts_.plan->stages(parts_.stage_index).slots(),
                     parts_.plan->segments()),
          parts_.plan->segments()));
  inputs_ = std::make_unique<MicroBatchInputs>(std::move(inputs));
  CAROUSEL_ASSIGN_OR_RETURN(GradientTree gradients, GradientTree::Create(&stage, leaves_));
  gradients_ = std::make_unique<GradientTree>(std::move(gradients));
  CAROUSEL_ASSIGN_OR_RETURN(Optimizer optimizer,
                            Optimizer::Create(&stage, parts_.job->optimizer().weight_decay_rule()));
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
  const Timed total(&times_.total);
  tokens_ = 0;
  parts_.stage->ResetStepCounters();
  CAROUSEL_RETURN_IF_ERROR(RunOps(step));
  CombineTied(step);
  CAROUSEL_ASSIGN_OR_RETURN(StepEvidence evidence, GatherEvidence(step));
  CAROUSEL_ASSIGN_OR_RETURN(StepDecision decision, AgreeOn(step, evidence, boundary));
  if (!decision.apply) return decision;
  WaitFor(tied_sent_);
  CAROUSEL_RETURN_IF_ERROR(optimizer_->Apply(decision.update));
  ShareTiedMatrix(step + 1);
  return decision;
}

absl::Status Executor::RunOps(int64_t step) {
  const auto& ops = parts_.plan->stages(parts_.stage_index).ops();
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
      case WEIGHT_GRADIENT:
        WeightGradient(op.micro_batch(), TakeRunOfWeightGradients(ops, &i), op.segment() + 1);
        break;
      default:
        return absl::InternalError(absl::StrCat("the plan of stage ", parts_.stage_index,
                                                " has an operation of kind ", op.kind()));
    }
  }
  return Now().Wait();
}

Event Executor::Now() const { return parts_.stage->backend().Record(parts_.stage->stream()); }

absl::Status Executor::LoadMicroBatch(int64_t step, int micro_batch) {
  CAROUSEL_ASSIGN_OR_RETURN(MicroBatch rows,
                            ReadMicroBatch(*parts_.reader, *parts_.job, step, micro_batch));
  tokens_ += rows.predicted;
  return inputs_->Load(slot(micro_batch), std::move(rows));
}

void Executor::WaitFor(const Event& event) {
  const Timed waiting(&times_.waiting);
  parts_.stage->backend().Wait(parts_.stage->stream(), event);
}

void Executor::Forward(int64_t step, const StageOp& op) {
  Stage& stage = *parts_.stage;
  const Segment segment = inputs_->At(slot(op.micro_batch()), op.segment());
  const Tag tag = {step, ACTIVATION, op.micro_batch(), op.segment()};
  if (!first())
    WaitFor(parts_.transport->Recv(parts_.stage_index - 1, tag, stage.Input(segment), Now()));
  stage.Forward(segment);
  // No one waits for this: the slot is used again only after the micro-batch's backward, and its
  // gradient comes from a stage that has had these rows.
  if (!last()) parts_.transport->Send(parts_.stage_index + 1, tag, stage.Output(segment), Now());
}

void Executor::Backward(int64_t step, const StageOp& op) {
  Stage& stage = *parts_.stage;
  const Segment segment = inputs_->At(slot(op.micro_batch()), op.segment());
  const Tag tag = {step, GRADIENT, op.micro_batch(), op.segment()};
  if (!last())
    WaitFor(
        parts_.transport->Recv(parts_.stage_index + 1, tag, stage.OutputGradient(segment), Now()));
  Event& sent = gradient_sent_[op.segment()];
  WaitFor(sent);
  stage.BackwardInput(segment);
  if (!first()) {
    sent = parts_.transport->Send(parts_.stage_index - 1, tag, stage.InputGradient(segment), Now());
  }
}

void Executor::WeightGradient(int micro_batch, int first_segment, int end_segment) {
  const bool begins_leaf =
      micro_batch % micro_batches_per_leaf_ == 0 && end_segment == parts_.plan->segments();
  const bool ends_leaf = (micro_batch + 1) % micro_batches_per_leaf_ == 0 && first_segment == 0;
  if (begins_leaf) gradients_->BeginLeaf();
  parts_.stage->BackwardWeight(inputs_->Run(slot(micro_batch), first_segment, end_segment));
  if (ends_leaf) gradients_->EndLeaf(micro_batch / micro_batches_per_leaf_);
}

void Executor::CombineTied(int64_t step) {
  if (!parts_.job->model().tie_embeddings()) return;
  Stage& stage = *parts_.stage;
  const Tag tag = {step, TIED_GRADIENT};
  if (stages() == 1) {
    gradients_->AddTied(stage.tied_gradient());
  } else if (last()) {
    tied_sent_ = parts_.transport->Send(0, tag, stage.tied_gradient(), Now());
  } else if (first()) {
    const Span head =
        tied_gradient_.As(stage.parameters().front().tensors().front().weight.dtype());
    WaitFor(parts_.transport->Recv(stages() - 1, tag, head, Now()));
    gradients_->AddTied(head);
  }
}

void Executor::ShareTiedMatrix(int64_t step) {
  if (!tied_across()) return;
  Stage& stage = *parts_.stage;
  const Tag tag = {step, TIED_WEIGHT};
  if (first()) {
    const Span& matrix = stage.parameters().front().tensors().front().weight;
    tied_sent_ = parts_.transport->Send(stages() - 1, tag, matrix, Now());
  } else if (last()) {
    WaitFor(parts_.transport->Recv(0, tag, stage.tied_matrix(), Now()));
  }
}

absl::StatusOr<StepEvidence> Executor::GatherEvidence(int64_t step) {
  StepEvidence evidence;
  CAROUSEL_ASSIGN_OR_RETURN(const std::vector<double> squares, optimizer_->GradientSquares());
  CAROUSEL_ASSIGN_OR_RETURN(const std::vector<int32_t> non_finite, optimizer_->NonFinite());
  if (!first()) {
    const Timed waiting(&times_.waiting);
    CAROUSEL_ASSIGN_OR_RETURN(
        const std::string record,
        parts_.transport->ReceiveBytes(parts_.stage_index - 1, {step, NORM_PARTIALS}));
    CAROUSEL_ASSIGN_OR_RETURN(evidence, DecodeEvidence(record));
    CAROUSEL_RETURN_IF_ERROR(CheckEvidence(evidence, *parts_.layout, parts_.stage->first_unit()));
  }
  evidence.squares.insert(evidence.squares.end(), squares.begin(), squares.end());
  evidence.non_finite.insert(evidence.non_finite.end(), non_finite.begin(), non_finite.end());
  if (last()) {
    CAROUSEL_ASSIGN_OR_RETURN(evidence.loss_sum, parts_.stage->LossSum());
    evidence.tokens = tokens_;
  }
  return evidence;
}

absl::StatusOr<StepDecision> Executor::AgreeOn(int64_t step, const StepEvidence& evidence,
                                               const Boundary& boundary) {
  StepDecision decision;
  if (last()) {
    decision = DecideStep(*parts_.job, *parts_.layout, step, evidence);
    decision.checkpoint = boundary.checkpoint;
    decision.stop = boundary.stop;
  } else {
    CAROUSEL_RETURN_IF_ERROR(parts_.transport->SendBytes(
        parts_.stage_index + 1, {step, NORM_PARTIALS}, EncodeEvidence(evidence)));
    const Timed waiting(&times_.waiting);
    CAROUSEL_ASSIGN_OR_RETURN(
        const std::string record,
        parts_.transport->ReceiveBytes(parts_.stage_index + 1, {step, DECISION}));
    CAROUSEL_ASSIGN_OR_RETURN(decision, DecodeDecision(record));
  }
  if (!first())
    CAROUSEL_RETURN_IF_ERROR(parts_.transport->SendBytes(parts_.stage_index - 1, {step, DECISION},
                                                         EncodeDecision(decision)));
  return decision;
}

}  // namespace carousel
