// The last unit: final norm, head, (soft-capped) cross-entropy.

#include "cluster/status_macros.h"
#include "worker/unit.h"
#include "worker/units/residual.h"

namespace carousel {
namespace {

using kernels::Span;

class HeadUnit : public LossUnit {
 public:
  HeadUnit(const UnitContext& context, Span matrix, Span gradient)
      : context_(context),
        matrix_(matrix),
        gradient_(gradient),
        large_(context.model->family() == XLSTM_LARGE),
        dim_(context.model->dim()),
        vocab_(context.model->vocab_size()) {}

  absl::Status Init() {
    const Parameter& norm =
        context_.parameters->Find(large_ ? "out_norm.weight" : "post_blocks_norm.weight");
    CAROUSEL_ASSIGN_OR_RETURN(
        norm_,
        NormPiece::Create(context_, norm, {1, dim_, !large_, !large_, large_ ? 1e-6 : 1e-5}));
    CAROUSEL_ASSIGN_OR_RETURN(xn_, context_.Rows(dim_));
    CAROUSEL_ASSIGN_OR_RETURN(logits_, context_.Rows(vocab_));
    CAROUSEL_ASSIGN_OR_RETURN(stats_, context_.Rows(2));
    CAROUSEL_ASSIGN_OR_RETURN(losses_, context_.Rows(1));
    CAROUSEL_ASSIGN_OR_RETURN(
        dxn_, SlotBuffer::AllocateGradient(*context_.backend, context_.capacity, dim_));
    CAROUSEL_ASSIGN_OR_RETURN(loss_sum_, context_.backend->Allocate(sizeof(double)));
    return absl::OkStatus();
  }

  void Forward(const Segment& s, Span x, Span) override {
    norm_.Forward(s, x, xn_.Rows(s));
    context_.Run(kernels::LinearForward{.x = xn_.Columns(s),
                                        .weight = matrix_,
                                        .y = logits_.Columns(s),
                                        .rows = s.rows(),
                                        .in = dim_,
                                        .out = vocab_});
    if (s.labels.empty()) return;  // generation reads the logits only
    context_.Run(kernels::CrossEntropyForward{.logits = logits_.Rows(s),
                                              .labels = s.labels,
                                              .loss = losses_.Rows(s),
                                              .stats = stats_.Rows(s),
                                              .rows = s.rows(),
                                              .vocab = vocab_,
                                              .cap = cap()});
    context_.Run(kernels::OrderedSum{.x = losses_.Rows(s), .sum = loss_sum()});
  }

  void BackwardInput(const Segment& s, Span x, Span, Span dx) override {
    const Segment g = InSlot0(s);
    context_.Run(kernels::CrossEntropyBackward{.logits = logits_.Rows(s),
                                               .labels = s.labels,
                                               .stats = stats_.Rows(s),
                                               .dlogits = logits_.Rows(s),
                                               .rows = s.rows(),
                                               .vocab = vocab_,
                                               .cap = cap()});
    context_.Run(kernels::LinearBackwardInput{.dy = logits_.Columns(s),
                                              .weight = matrix_,
                                              .dx = dxn_.Columns(g),
                                              .rows = s.rows(),
                                              .in = dim_,
                                              .out = vocab_});
    norm_.BackwardInput(s, x, dxn_.Rows(g), /*residual=*/{}, dx);
  }

  void BackwardWeight(const Segment& s, Span x, Span) override {
    context_.Run(kernels::LinearBackwardWeight{.x = xn_.Columns(s),
                                               .dy = logits_.Columns(s),
                                               .dweight = gradient_,
                                               .rows = s.rows(),
                                               .in = dim_,
                                               .out = vocab_});
    norm_.BackwardWeight(s, x, dxn_.Rows(InSlot0(s)));
  }

  Span loss_sum() const override { return loss_sum_.As(kernels::DType::kF64); }
  Span losses(const Segment& s) const override { return losses_.Rows(s); }
  Span logits(const Segment& s) const override { return logits_.Rows(s); }

 private:
  double cap() const { return large_ ? context_.model->output_logit_soft_cap() : 0; }

  const UnitContext context_;
  const Span matrix_, gradient_;
  const bool large_;
  const int64_t dim_, vocab_;
  NormPiece norm_;
  SlotBuffer xn_, logits_, stats_, losses_;  // logits turn into their gradient in backward
  SlotBuffer dxn_;
  kernels::Buffer loss_sum_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<LossUnit>> NewHeadUnit(const UnitContext& context, Span matrix,
                                                      Span gradient) {
  auto unit = std::make_unique<HeadUnit>(context, matrix, gradient);
  CAROUSEL_RETURN_IF_ERROR(unit->Init());
  return unit;
}

}  // namespace carousel
