// UnitParameters: the weights, moments and gradients of one unit on its device.
//
// One buffer a part, in which the unit's tensors lie in layout order, each from a 64-byte border;
// so what is done to every element (clearing a gradient, adding two leaves) is one operation.
// Tensor names are those of cluster/job/model_layout.h; a block finds its own by the end of the
// name ("xlstm.proj_up.weight").
#pragma once

#include <iterator>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "cluster/job/model_layout.h"
#include "cluster/keys.h"
#include "kernels/backend.h"

namespace carousel {

// The parts of a tensor that are state, in key order.
inline constexpr Part kStateParts[] = {Part::kWeight, Part::kM, Part::kV};
static_assert(std::size(kStateParts) == kParts);

struct Parameter {
  const TensorLayout* layout = nullptr;
  kernels::Span weight;    // [layout->Elements()]
  kernels::Span m, v;      // the same; empty where nothing is trained
  kernels::Span gradient;  // accumulator of the current leaf; likewise

  kernels::Span part(Part part) const {
    return part == Part::kWeight ? weight : part == Part::kM ? m : v;
  }
};

// Not thread-safe. Borrows `layout`.
class UnitParameters {
 public:
  // `trained` false: weights only.
  static absl::StatusOr<UnitParameters> Allocate(kernels::Backend& backend,
                                                 const UnitLayout& layout, kernels::DType dtype,
                                                 bool trained = true);

  const UnitLayout& layout() const { return *layout_; }
  std::vector<Parameter>& tensors() { return tensors_; }
  const std::vector<Parameter>& tensors() const { return tensors_; }

  // The tensor whose name ends with ".`suffix`" (or is it). Its absence is our mistake.
  const Parameter& Find(std::string_view suffix) const;

  // All gradients as one run of elements.
  kernels::Span gradients() const { return gradient_.As(dtype_); }

  // Weights of every tensor from the job's seed, as functions of (seed, tensor number, index).
  void Initialize(kernels::Backend& backend, kernels::Stream stream, uint64_t seed) const;

 private:
  const UnitLayout* layout_ = nullptr;
  kernels::DType dtype_ = kernels::DType::kF32;
  kernels::Buffer weight_, m_, v_, gradient_;
  std::vector<Parameter> tensors_;
};

// Initial values of one tensor into `weight`, as a function of (seed, tensor number, index).
void InitializeTensor(kernels::Backend& backend, kernels::Stream stream, const TensorLayout& tensor,
                      uint64_t seed, kernels::Span weight);

}  // namespace carousel
