#include "worker/optimizer.h"

#include <cstring>

#include "cluster/status_macros.h"
#include "kernels/granule.h"

namespace carousel {

using kernels::DType;
using kernels::Span;

static_assert(kernels::kGranule == kGranuleElements);

namespace {

// Visits the stage's tensors in (unit, tensor) order with the number of each one's first granule.
template <class Visit>
void ForEachTensor(const Stage& stage, const Visit& visit) {
  int64_t granule = 0;
  for (const UnitParameters& unit : stage.parameters()) {
    for (const Parameter& tensor : unit.tensors()) {
      visit(tensor, granule);
      granule += GranuleCount(tensor.layout->Elements());
    }
  }
}

}  // namespace

absl::StatusOr<Optimizer> Optimizer::Create(Stage* stage, WeightDecayRule rule) {
  Optimizer optimizer;
  optimizer.stage_ = stage;
  optimizer.rule_ = rule;
  ForEachTensor(*stage, [&](const Parameter& tensor, int64_t first) {
    optimizer.granules_ = first + GranuleCount(tensor.layout->Elements());
  });
  CAROUSEL_ASSIGN_OR_RETURN(optimizer.partials_,
                            stage->backend().Allocate(optimizer.granules_ * sizeof(double)));
  CAROUSEL_ASSIGN_OR_RETURN(
      optimizer.digests_, stage->backend().Allocate(optimizer.granules_ * kParts * sizeof(Digest)));
  return optimizer;
}

absl::StatusOr<std::vector<double>> Optimizer::GradientSquares() {
  const Span partials = partials_.As(DType::kF64);
  ForEachTensor(*stage_, [&](const Parameter& tensor, int64_t first) {
    const int64_t count = GranuleCount(tensor.layout->Elements());
    stage_->backend().Enqueue(
        stage_->stream(),
        kernels::GranuleSquares{.x = tensor.gradient, .partial = partials.Slice(first, count)});
  });
  std::vector<double> squares(granules_);
  stage_->backend().CopyToHost(stage_->stream(), partials.Slice(0, granules_), squares.data());
  CAROUSEL_RETURN_IF_ERROR(stage_->backend().Record(stage_->stream()).Wait());
  return squares;
}

absl::StatusOr<std::vector<int32_t>> Optimizer::NonFinite() {
  const int64_t units = static_cast<int64_t>(stage_->parameters().size());
  std::vector<int32_t> counts(units);
  stage_->backend().CopyToHost(stage_->stream(), stage_->non_finite().Slice(0, units),
                               counts.data());
  CAROUSEL_RETURN_IF_ERROR(stage_->backend().Record(stage_->stream()).Wait());
  return counts;
}

absl::Status Optimizer::Apply(const kernels::AdamWStep& update) {
  ForEachTensor(*stage_, [&](const Parameter& tensor, int64_t) {
    kernels::AdamW op = {.weight = tensor.weight,
                         .m = tensor.m,
                         .v = tensor.v,
                         .gradient = tensor.gradient,
                         .step = update};
    if (!tensor.layout->Decays(rule_)) op.step.weight_decay = 0;
    stage_->backend().Enqueue(stage_->stream(), op);
  });
  return stage_->backend().Record(stage_->stream()).Wait();
}

absl::StatusOr<std::vector<Digest>> Optimizer::UnitDigests() {
  const Span device = digests_.As(DType::kU8);
  // Key order inside a unit is (tensor, part, granule): a tensor's parts follow each other.
  ForEachTensor(*stage_, [&](const Parameter& tensor, int64_t first) {
    const int64_t count = GranuleCount(tensor.layout->Elements());
    for (Part part : kStateParts) {
      const int64_t place = first * kParts + static_cast<int>(part) * count;
      stage_->backend().Enqueue(
          stage_->stream(),
          kernels::GranuleDigests{
              .x = tensor.part(part),
              .digest = device.Slice(place * sizeof(Digest), count * sizeof(Digest))});
    }
  });
  std::vector<Digest> granules(granules_ * kParts);
  stage_->backend().CopyToHost(stage_->stream(), device.Slice(0, granules.size() * sizeof(Digest)),
                               granules.data());
  CAROUSEL_RETURN_IF_ERROR(stage_->backend().Record(stage_->stream()).Wait());

  std::vector<Digest> units;
  size_t first = 0;
  for (const UnitParameters& unit : stage_->parameters()) {
    size_t count = 0;
    for (const Parameter& tensor : unit.tensors())
      count += GranuleCount(tensor.layout->Elements()) * kParts;
    units.push_back(UnitDigest(std::span<const Digest>(granules).subspan(first, count)));
    first += count;
  }
  return units;
}

}  // namespace carousel
