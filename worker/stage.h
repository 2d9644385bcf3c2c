// Stage: consecutive units on one backend, with the rows that pass between them.
//
// The rows at every unit border are stored once, in the job's dtype: what a stage border sends is
// exactly what it would have kept, so where the stack is cut changes no bit. Calls enqueue
// operations and return; who wants results waits for an event of the stream.
//
// Not thread-safe: one executor drives one stage.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "cluster/job/model_layout.h"
#include "kernels/backend.h"
#include "proto/job.pb.h"
#include "worker/memory.h"
#include "worker/parameters.h"
#include "worker/unit.h"

namespace carousel {

struct StageOptions {
  const ModelSpec* model = nullptr;     // borrowed
  const ModelLayout* layout = nullptr;  // borrowed
  int first_unit = 0, end_unit = 0;     // [first, end)
  StageCapacity capacity;
};

class Stage {
 public:
  static absl::StatusOr<std::unique_ptr<Stage>> Create(kernels::Backend* backend,
                                                       kernels::Stream stream,
                                                       const StageOptions& options);

  int first_unit() const { return options_.first_unit; }
  int end_unit() const { return options_.end_unit; }
  bool has_embedding() const { return options_.first_unit == 0; }
  bool has_head() const { return head_ != nullptr; }
  kernels::Backend& backend() const { return *backend_; }
  kernels::Stream stream() const { return stream_; }

  // Rows at the stage's own borders, [rows, D]: filled by the transport (or a neighbour) before
  // Forward or BackwardInput, read from after.
  kernels::Span Input(const Segment& segment) const { return border_.front().Rows(segment); }
  kernels::Span Output(const Segment& segment) const { return border_.back().Rows(segment); }
  kernels::Span OutputGradient(const Segment& segment) const {
    return gradient_.back().Rows(InSlot0(segment));
  }
  kernels::Span InputGradient(const Segment& segment) const {
    return gradient_.front().Rows(InSlot0(segment));
  }
  // Rows that enter a unit, and their gradient.
  kernels::Span UnitInput(int unit, const Segment& segment) const {
    return border_[unit - first_unit()].Rows(segment);
  }
  kernels::Span UnitInputGradient(int unit, const Segment& segment) const {
    return gradient_[unit - first_unit()].Rows(InSlot0(segment));
  }

  // What unit `unit` carries into segment `index` (> 0).
  std::vector<CarriedState> Carried(int unit, int slot, int index) const {
    return units_[unit - first_unit()]->Carried(slot, index);
  }

  void Forward(const Segment& segment);
  void BackwardInput(const Segment& segment);
  void BackwardWeight(const Segment& run);

  // Weights from the seed; moments zero.
  void Initialize(uint64_t seed);

  std::vector<UnitParameters>& parameters() { return parameters_; }
  const std::vector<UnitParameters>& parameters() const { return parameters_; }
  LossUnit* head() const { return head_; }

  // The head's matrix and its gradient when the model ties it to the embedding, else empty. On a
  // stage without the embedding the matrix is a copy, which the transport refreshes after each
  // update. Both [V, D].
  kernels::Span tied_matrix() const { return tied_matrix_; }
  kernels::Span tied_gradient() const {
    return tied_gradient_.bytes() > 0 ? tied_gradient_.As(options_.capacity.dtype)
                                      : kernels::Span();
  }

  // i32 [units]: number of elements of each unit's output that were not finite since the last
  // ResetStepCounters.
  kernels::Span non_finite() const { return non_finite_.As(kernels::DType::kI32); }
  // The head's sum of losses since then. Waits for the device.
  absl::StatusOr<double> LossSum();
  // Clears those counters and the head's sum of losses; at the start of a step.
  void ResetStepCounters();

 private:
  Stage(kernels::Backend* backend, kernels::Stream stream, const StageOptions& options)
      : backend_(backend), stream_(stream), options_(options) {}
  absl::Status AllocateBorders();
  absl::Status TieHead();
  absl::Status BuildUnits();

  kernels::Backend* const backend_;
  const kernels::Stream stream_;
  const StageOptions options_;
  std::vector<UnitParameters> parameters_;
  Workspace workspace_;
  std::vector<std::unique_ptr<Unit>> units_;
  LossUnit* head_ = nullptr;          // the last of units_, if it is the head
  std::vector<SlotBuffer> border_;    // rows before each unit and after the last, if there are any
  std::vector<SlotBuffer> gradient_;  // their gradients
  kernels::Buffer tied_copy_, tied_gradient_;
  kernels::Span tied_matrix_;
  kernels::Buffer non_finite_;
};

}  // namespace carousel
