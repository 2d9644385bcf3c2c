// The embedding: the first unit of every model.

#include <utility>

#include "worker/unit.h"

namespace carousel {
namespace {

using kernels::Span;

class EmbeddingUnit : public Unit {
 public:
  explicit EmbeddingUnit(const UnitContext& context)
      : context_(context),
        table_(context.parameters->tensors().front()),
        width_(context.model->dim()) {}

  void Forward(const Segment& segment, Span, Span y) override {
    context_.Run(kernels::EmbeddingForward{.tokens = segment.tokens,
                                           .table = table_.weight,
                                           .y = y,
                                           .rows = segment.rows(),
                                           .width = width_});
  }

  void BackwardInput(const Segment&, Span, Span, Span) override {}  // tokens have no gradient

  void BackwardWeight(const Segment& run, Span, Span dy) override {
    context_.Run(kernels::EmbeddingBackwardWeight{.tokens = run.tokens,
                                                  .dy = dy,
                                                  .dtable = table_.gradient,
                                                  .rows = run.rows(),
                                                  .width = width_});
  }

 private:
  const UnitContext context_;
  const Parameter& table_;
  const int64_t width_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Unit>> NewEmbeddingUnit(const UnitContext& context) {
  return std::make_unique<EmbeddingUnit>(context);
}

}  // namespace carousel
