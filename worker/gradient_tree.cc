#include "worker/gradient_tree.h"

#include "cluster/check.h"
#include "cluster/status_macros.h"

namespace carousel {

using kernels::Span;

absl::StatusOr<GradientTree> GradientTree::Create(Stage* stage, int leaves) {
  CAROUSEL_CHECK(leaves >= 1 && (leaves & (leaves - 1)) == 0);
  GradientTree tree;
  tree.stage_ = stage;
  tree.leaves_ = leaves;
  for (int held = leaves / 2; held >= 1; held /= 2) {
    std::vector<kernels::Buffer> buffers;
    for (const Span& accumulator : tree.Accumulators()) {
      CAROUSEL_ASSIGN_OR_RETURN(kernels::Buffer buffer,
                                stage->backend().Allocate(accumulator.bytes()));
      buffers.push_back(std::move(buffer));
    }
    tree.level_.push_back(std::move(buffers));
  }
  return tree;
}

std::vector<Span> GradientTree::Accumulators() const {
  std::vector<Span> accumulators;
  for (const UnitParameters& parameters : stage_->parameters())
    accumulators.push_back(parameters.gradients());
  if (!stage_->tied_gradient().empty()) accumulators.push_back(stage_->tied_gradient());
  return accumulators;
}

void GradientTree::BeginLeaf() {
  for (const Span& accumulator : Accumulators())
    stage_->backend().Enqueue(stage_->stream(), kernels::Zero{.x = accumulator});
}

void GradientTree::EndLeaf(int leaf) {
  const std::vector<Span> accumulators = Accumulators();
  // As in counting: the new leaf closes every subtree whose left half is waiting.
  int level = 0;
  for (; (leaf >> level) & 1; ++level) {
    for (size_t i = 0; i < accumulators.size(); ++i) {
      const Span earlier = level_[level][i].As(accumulators[i].dtype());
      stage_->backend().Enqueue(
          stage_->stream(), kernels::Add{.a = earlier, .b = accumulators[i], .y = accumulators[i]});
    }
  }
  if (leaf + 1 == leaves_) return;
  for (size_t i = 0; i < accumulators.size(); ++i) {
    stage_->backend().Enqueue(
        stage_->stream(),
        kernels::Copy{.x = accumulators[i], .y = level_[level][i].As(accumulators[i].dtype())});
  }
}

void GradientTree::AddTied(Span head) {
  const Span embedding = stage_->parameters().front().tensors().front().gradient;
  stage_->backend().Enqueue(stage_->stream(),
                            kernels::Add{.a = head, .b = embedding, .y = embedding});
}

}  // namespace carousel
