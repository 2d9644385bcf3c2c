// Unit: what a pipeline is cut into, i.e. the embedding, one residual block, or the final norm with
// the head.
//
// A unit turns the rows of one segment into the next unit's rows, and gradients back; it keeps what
// backward needs in its slots. Calls only enqueue operations: nothing here looks at a value or
// waits. The three directions are apart because schedules place them apart:
//
//   Forward        segments of a sequence ascending
//   BackwardInput  segments descending, after their Forward and once for each: it overwrites what
//                  Forward has left for it
//   BackwardWeight a run of adjacent segments after their BackwardInput, runs descending;
//                  adds to the gradients, one chain over all rows
//
// Not thread-safe: one executor drives one stage. A unit borrows its backend, parameters and
// workspace.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/backend.h"
#include "proto/model.pb.h"
#include "worker/memory.h"
#include "worker/parameters.h"

namespace carousel {

// A state that a unit carries from segment to segment, and what comes back for it.
struct CarriedState {
  const char* name;        // as in the cell's equations: "C", "n", "m", "h", "c"; "conv" for the
                           // convolution's rows
  kernels::Span value;     // layout as in kernels/mlstm.h, slstm.h, causal_conv.h
  kernels::Span gradient;  // empty for the stabiliser m
};

class Unit {
 public:
  virtual ~Unit() = default;

  // y = f(x); both [rows, D]. The embedding reads segment.tokens instead of x; the head writes
  // losses instead of y.
  virtual void Forward(const Segment& segment, kernels::Span x, kernels::Span y) = 0;

  // dx from dy; both [rows, D] and not the same memory. dy must stay in place until BackwardWeight.
  // x is as Forward saw it.
  virtual void BackwardInput(const Segment& segment, kernels::Span x, kernels::Span dy,
                             kernels::Span dx) = 0;

  virtual void BackwardWeight(const Segment& run, kernels::Span x, kernels::Span dy) = 0;

  // What enters segment `index` (> 0) of `slot` from the one before it: for whoever starts from a
  // state that is not the unit's own, or looks at one.
  virtual std::vector<CarriedState> Carried(int slot, int index) const { return {}; }
};

// What every unit is built with.
struct UnitContext {
  kernels::Backend* backend = nullptr;
  kernels::Stream stream = 0;
  const ModelSpec* model = nullptr;
  StageCapacity capacity;
  UnitParameters* parameters = nullptr;
  Workspace* workspace = nullptr;

  template <class OpType>
  void Run(const OpType& op) const {
    backend->Enqueue(stream, op);
  }
  absl::StatusOr<SlotBuffer> Rows(int64_t width) const {
    return SlotBuffer::Allocate(*backend, capacity, width, capacity.dtype);
  }
};

// The head: the unit that turns rows into losses.
class LossUnit : public Unit {
 public:
  // f64 [1]: the losses of all segments forwarded since it was zeroed (Stage::ResetStepCounters),
  // summed in the order of the calls.
  virtual kernels::Span loss_sum() const = 0;
  // Of a segment's rows: losses, [rows], and logits before the soft-cap, [rows, V], which
  // BackwardInput turns into their gradient.
  virtual kernels::Span losses(const Segment& segment) const = 0;
  virtual kernels::Span logits(const Segment& segment) const = 0;
};

absl::StatusOr<std::unique_ptr<Unit>> NewEmbeddingUnit(const UnitContext& context);
absl::StatusOr<std::unique_ptr<Unit>> NewMlstmBlock(const UnitContext& context);
absl::StatusOr<std::unique_ptr<Unit>> NewSlstmBlock(const UnitContext& context);
absl::StatusOr<std::unique_ptr<Unit>> NewLargeBlock(const UnitContext& context);

// `matrix` is the head's weight [V, D], its own or the tied embedding's, and `gradient` where its
// gradient is summed.
absl::StatusOr<std::unique_ptr<LossUnit>> NewHeadUnit(const UnitContext& context,
                                                      kernels::Span matrix, kernels::Span gradient);

}  // namespace carousel
