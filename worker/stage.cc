#include "worker/stage.h"

#include "cluster/check.h"
#include "cluster/status_macros.h"

namespace carousel {

using kernels::Span;

absl::StatusOr<std::unique_ptr<Stage>> Stage::Create(kernels::Backend* backend,
                                                     kernels::Stream stream,
                                                     const StageOptions& options) {
  CAROUSEL_CHECK(options.first_unit < options.end_unit &&
                 options.end_unit <= static_cast<int>(options.layout->units.size()));
  std::unique_ptr<Stage> stage(new Stage(backend, stream, options));
  for (int unit = options.first_unit; unit < options.end_unit; ++unit) {
    CAROUSEL_ASSIGN_OR_RETURN(
        UnitParameters parameters,
        UnitParameters::Allocate(*backend, options.layout->units[unit], options.capacity.dtype,
                                 options.capacity.backward));
    stage->parameters_.push_back(std::move(parameters));
  }
  CAROUSEL_RETURN_IF_ERROR(stage->AllocateBorders());
  CAROUSEL_RETURN_IF_ERROR(stage->TieHead());
  CAROUSEL_RETURN_IF_ERROR(stage->BuildUnits());
  return stage;
}

absl::Status Stage::AllocateBorders() {
  const int64_t width = options_.model->dim();
  for (int border = options_.first_unit; border <= options_.end_unit; ++border) {
    // Before the embedding there are only tokens, after the head only losses: these borders stay
    // without memory, and their rows are empty spans.
    const bool rows = border > 0 && border < static_cast<int>(options_.layout->units.size());
    SlotBuffer forward, backward;
    if (rows) {
      CAROUSEL_ASSIGN_OR_RETURN(forward, SlotBuffer::Allocate(*backend_, options_.capacity, width,
                                                              options_.capacity.dtype));
      CAROUSEL_ASSIGN_OR_RETURN(backward,
                                SlotBuffer::AllocateGradient(*backend_, options_.capacity, width));
    }
    border_.push_back(std::move(forward));
    gradient_.push_back(std::move(backward));
  }
  CAROUSEL_ASSIGN_OR_RETURN(
      non_finite_, backend_->Allocate((options_.end_unit - options_.first_unit) * sizeof(int32_t)));
  return absl::OkStatus();
}

absl::Status Stage::TieHead() {
  const bool head = options_.end_unit == static_cast<int>(options_.layout->units.size());
  if (!head || !options_.model->tie_embeddings()) return absl::OkStatus();
  const int64_t bytes = options_.model->vocab_size() * options_.model->dim() *
                        kernels::SizeOf(options_.capacity.dtype);
  if (options_.capacity.backward) {
    CAROUSEL_ASSIGN_OR_RETURN(tied_gradient_, backend_->Allocate(bytes));
  }
  if (has_embedding()) {
    tied_matrix_ = parameters_.front().tensors().front().weight;
    return absl::OkStatus();
  }
  CAROUSEL_ASSIGN_OR_RETURN(tied_copy_, backend_->Allocate(bytes));
  tied_matrix_ = tied_copy_.As(options_.capacity.dtype);
  return absl::OkStatus();
}

absl::Status Stage::BuildUnits() {
  for (UnitParameters& parameters : parameters_) {
    const UnitContext context = {.backend = backend_,
                                 .stream = stream_,
                                 .model = options_.model,
                                 .capacity = options_.capacity,
                                 .parameters = &parameters,
                                 .workspace = &workspace_};
    std::unique_ptr<Unit> unit;
    switch (parameters.layout().kind) {
      case UnitKind::kEmbedding: {
        CAROUSEL_ASSIGN_OR_RETURN(unit, NewEmbeddingUnit(context));
        break;
      }
      case UnitKind::kMlstmBlock: {
        CAROUSEL_ASSIGN_OR_RETURN(unit, NewMlstmBlock(context));
        break;
      }
      case UnitKind::kSlstmBlock: {
        CAROUSEL_ASSIGN_OR_RETURN(unit, NewSlstmBlock(context));
        break;
      }
      case UnitKind::kLargeMlstmBlock: {
        CAROUSEL_ASSIGN_OR_RETURN(unit, NewLargeBlock(context));
        break;
      }
      case UnitKind::kHead: {
        const bool tied = !tied_matrix_.empty();
        CAROUSEL_ASSIGN_OR_RETURN(
            std::unique_ptr<LossUnit> head,
            NewHeadUnit(context, tied ? tied_matrix_ : parameters.Find("lm_head.weight").weight,
                        tied ? tied_gradient() : parameters.Find("lm_head.weight").gradient));
        head_ = head.get();
        unit = std::move(head);
        break;
      }
    }
    units_.push_back(std::move(unit));
  }
  return workspace_.Allocate(*backend_, options_.capacity.dtype);
}

void Stage::Initialize(uint64_t seed) {
  for (const UnitParameters& parameters : parameters_)
    parameters.Initialize(*backend_, stream_, seed);
  if (tied_copy_.bytes() == 0) return;
  // The copy is the embedding's values, made the same way: a function of (seed, tensor, index).
  CAROUSEL_CHECK(!has_embedding());
  InitializeTensor(*backend_, stream_, options_.layout->units.front().tensors.front(), seed,
                   tied_matrix_);
}

void Stage::ResetStepCounters() {
  backend_->Enqueue(stream_, kernels::Zero{.x = non_finite()});
  if (head_ != nullptr) backend_->Enqueue(stream_, kernels::Zero{.x = head_->loss_sum()});
}

absl::StatusOr<double> Stage::LossSum() {
  double sum = 0;
  backend_->CopyToHost(stream_, head_->loss_sum(), &sum);
  CAROUSEL_RETURN_IF_ERROR(backend_->Record(stream_).Wait());
  return sum;
}

void Stage::Forward(const Segment& segment) {
  for (size_t unit = 0; unit < units_.size(); ++unit) {
    const Span y = border_[unit + 1].Rows(segment);
    units_[unit]->Forward(segment, border_[unit].Rows(segment), y);
    const bool head = head_ != nullptr && unit + 1 == units_.size();
    backend_->Enqueue(stream_, kernels::CountNonFinite{.x = head ? head_->losses(segment) : y,
                                                       .count = non_finite().Slice(unit, 1)});
  }
}

void Stage::BackwardInput(const Segment& segment) {
  const Segment g = InSlot0(segment);
  for (size_t unit = units_.size(); unit-- > 0;) {
    units_[unit]->BackwardInput(segment, border_[unit].Rows(segment), gradient_[unit + 1].Rows(g),
                                gradient_[unit].Rows(g));
  }
}

void Stage::BackwardWeight(const Segment& run) {
  const Segment g = InSlot0(run);
  for (size_t unit = units_.size(); unit-- > 0;)
    units_[unit]->BackwardWeight(run, border_[unit].Rows(run), gradient_[unit + 1].Rows(g));
}

}  // namespace carousel
