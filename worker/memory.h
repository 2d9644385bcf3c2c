// Device memory of a stage: what forward keeps for backward (SlotBuffer), what crosses segment
// borders (CarryBuffer), and what an operation only passes to the next (Workspace). All of it is
// allocated before the first step; a step allocates nothing.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/backend.h"

namespace carousel {

// A slice of the sequences of one micro-batch along time, on this stage: what every operation of a
// unit works on.
//
// Its rows are rows [first_row, first_row + rows) of a slot, time-major. Adjacent segments of a
// slot form a run, which is a Segment too.
struct Segment {
  int slot = 0;            // where the micro-batch's activations live
  int64_t first_step = 0;  // in the sequence
  int64_t steps = 0;
  int64_t batch = 0;             // B
  int index = 0;                 // of the segment in its sequence; > 0: state is carried in
  bool last = true;              // of its sequence; else state is carried out
  kernels::Span tokens, labels;  // i32 [steps, B]
  kernels::Span resets;          // u8 [steps, B]

  int64_t rows() const { return steps * batch; }
  int64_t first_row() const { return first_step * batch; }
};

// The same rows for buffers that hold one micro-batch: gradients, which go back one at a time.
inline Segment InSlot0(Segment segment) {
  segment.slot = 0;
  return segment;
}

// How much a stage holds at once.
struct StageCapacity {
  int64_t sequence_length = 0;  // S of a whole micro-batch
  int64_t batch = 0;            // B
  int slots = 1;                // micro-batches alive at once
  // Segment borders whose carried state is kept for each slot: segments - 1, at least 1.
  int borders = 1;
  int64_t chunk = 64;  // L
  kernels::DType dtype = kernels::DType::kF32;
  bool backward = true;  // false: forward only, without moments, gradients and what they need

  int64_t rows() const { return sequence_length * batch; }
};

// `width` elements for every row of every slot.
class SlotBuffer {
 public:
  SlotBuffer() = default;
  static absl::StatusOr<SlotBuffer> Allocate(kernels::Backend& backend,
                                             const StageCapacity& capacity, int64_t width,
                                             kernels::DType dtype);
  // For gradients: of one micro-batch at a time, and nothing at all for a stage that has none.
  static absl::StatusOr<SlotBuffer> AllocateGradient(kernels::Backend& backend,
                                                     const StageCapacity& capacity, int64_t width);

  // The rows of a segment, [rows, width]; an empty span if nothing was allocated.
  kernels::Span Rows(const Segment& segment) const;

  // Columns [first, …) of them.
  kernels::Matrix Columns(const Segment& segment, int64_t first = 0) const;

 private:
  kernels::Buffer memory_;
  kernels::DType dtype_ = kernels::DType::kF32;
  int64_t rows_ = 0, width_ = 0;
};

// `size` elements for every segment border of every slot.
class CarryBuffer {
 public:
  CarryBuffer() = default;
  // What forward keeps: every border of every slot.
  static absl::StatusOr<CarryBuffer> Allocate(kernels::Backend& backend,
                                              const StageCapacity& capacity, int64_t size);
  // For gradients: two borders of one micro-batch at a time, and nothing for a stage that has none.
  static absl::StatusOr<CarryBuffer> AllocateGradient(kernels::Backend& backend,
                                                      const StageCapacity& capacity, int64_t size);

  // What enters segment `index` (index >= 1) from the one before it; an empty span if nothing was
  // allocated.
  kernels::Span Border(int slot, int index) const;

  // What is carried into a segment, or an empty span at the sequence's start; what it carries out,
  // or an empty span at its end.
  kernels::Span Into(const Segment& segment) const {
    return segment.index > 0 ? Border(segment.slot, segment.index) : kernels::Span();
  }
  kernels::Span OutOf(const Segment& segment) const {
    return segment.last ? kernels::Span() : Border(segment.slot, segment.index + 1);
  }

 private:
  kernels::Buffer memory_;
  kernels::DType dtype_ = kernels::DType::kF32;
  int borders_ = 1;
  int64_t size_ = 0;
};

// Scratch operands shared by the units of a stage, which run one after the other. Ask for sizes
// first, then allocate once.
class Workspace {
 public:
  // Scratch operand `index` will be used with up to `elements` elements.
  void Reserve(int index, int64_t elements);
  absl::Status Allocate(kernels::Backend& backend, kernels::DType dtype);
  kernels::Span Get(int index, int64_t elements) const;

 private:
  std::vector<int64_t> elements_;
  std::vector<kernels::Buffer> memory_;
  kernels::DType dtype_ = kernels::DType::kF32;
};

}  // namespace carousel
