#include "worker/parameters.h"

#include <string>

#include "cluster/check.h"
#include "cluster/status_macros.h"

namespace carousel {

using kernels::Span;

namespace {

constexpr int64_t kAlignment = 16;  // elements; at least 64 bytes of the narrowest type that trains

int64_t Aligned(int64_t elements) { return (elements + kAlignment - 1) / kAlignment * kAlignment; }

bool EndsWith(std::string_view name, std::string_view suffix) {
  if (name.size() < suffix.size() || name.substr(name.size() - suffix.size()) != suffix)
    return false;
  return name.size() == suffix.size() || name[name.size() - suffix.size() - 1] == '.';
}

// [NH, 4, DH]: the forget gate's power law in every head, zeros in the other gates.
void InitializeSlstmBias(kernels::Backend& backend, kernels::Stream stream,
                         const TensorLayout& tensor, kernels::RandomInit init) {
  const Span bias = init.x;
  const int64_t heads = tensor.shape[0], gates = tensor.shape[1], units = tensor.shape[2];
  constexpr int64_t kForgetGate = 1;
  backend.Enqueue(stream, kernels::Zero{.x = bias});
  init.kind = kernels::InitKind::kPowerLaw;
  init.period = units;
  for (int64_t head = 0; head < heads; ++head) {
    init.x = bias.Slice((head * gates + kForgetGate) * units, units);
    backend.Enqueue(stream, init);
  }
}

}  // namespace

absl::StatusOr<UnitParameters> UnitParameters::Allocate(kernels::Backend& backend,
                                                        const UnitLayout& layout,
                                                        kernels::DType dtype, bool trained) {
  UnitParameters unit;
  unit.layout_ = &layout;
  unit.dtype_ = dtype;
  int64_t total = 0;
  for (const TensorLayout& tensor : layout.tensors) total += Aligned(tensor.Elements());
  for (kernels::Buffer* part : {&unit.weight_, &unit.m_, &unit.v_, &unit.gradient_}) {
    if (!trained && part != &unit.weight_) continue;
    CAROUSEL_ASSIGN_OR_RETURN(*part, backend.Allocate(total * kernels::SizeOf(dtype)));
  }
  int64_t first = 0;
  for (const TensorLayout& tensor : layout.tensors) {
    auto slice = [&](const kernels::Buffer& part) {
      return part.bytes() == 0 ? Span() : part.As(dtype).Slice(first, tensor.Elements());
    };
    unit.tensors_.push_back(
        {&tensor, slice(unit.weight_), slice(unit.m_), slice(unit.v_), slice(unit.gradient_)});
    first += Aligned(tensor.Elements());
  }
  return unit;
}

const Parameter& UnitParameters::Find(std::string_view suffix) const {
  for (const Parameter& tensor : tensors_) {
    if (EndsWith(tensor.layout->name, suffix)) return tensor;
  }
  CheckFailed(__FILE__, __LINE__, ("no tensor " + std::string(suffix) + " in this unit").c_str());
}

void InitializeTensor(kernels::Backend& backend, kernels::Stream stream, const TensorLayout& tensor,
                      uint64_t seed, Span weight) {
  const Initializer& how = tensor.init;
  kernels::RandomInit init = {.a = how.a,
                              .b = how.b,
                              .exponent = how.exponent,
                              .seed = seed,
                              .tensor = static_cast<uint32_t>(tensor.index),
                              .x = weight};
  switch (how.kind) {
    case Initializer::Kind::kConstant:
      init.kind = kernels::InitKind::kConstant;
      break;
    case Initializer::Kind::kNormal:
      init.kind = kernels::InitKind::kNormal;
      break;
    case Initializer::Kind::kUniform:
      init.kind = kernels::InitKind::kUniform;
      break;
    case Initializer::Kind::kLinspace:
      init.kind = kernels::InitKind::kLinspace;
      init.period = tensor.Elements();
      break;
    case Initializer::Kind::kSlstmBias:
      return InitializeSlstmBias(backend, stream, tensor, init);
  }
  backend.Enqueue(stream, init);
}

void UnitParameters::Initialize(kernels::Backend& backend, kernels::Stream stream,
                                uint64_t seed) const {
  for (const Parameter& tensor : tensors_) {
    InitializeTensor(backend, stream, *tensor.layout, seed, tensor.weight);
    for (const Span& moment : {tensor.m, tensor.v}) {
      if (!moment.empty()) backend.Enqueue(stream, kernels::Zero{.x = moment});
    }
  }
}

}  // namespace carousel
