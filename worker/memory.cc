#include "worker/memory.h"

#include <algorithm>

#include "cluster/check.h"
#include "cluster/status_macros.h"

namespace carousel {

using kernels::Backend;
using kernels::DType;
using kernels::Span;

absl::StatusOr<SlotBuffer> SlotBuffer::Allocate(Backend& backend, const StageCapacity& capacity,
                                                int64_t width, DType dtype) {
  SlotBuffer buffer;
  buffer.dtype_ = dtype;
  buffer.rows_ = capacity.rows();
  buffer.width_ = width;
  CAROUSEL_ASSIGN_OR_RETURN(buffer.memory_, backend.Allocate(capacity.slots * buffer.rows_ * width *
                                                             kernels::SizeOf(dtype)));
  return buffer;
}

absl::StatusOr<SlotBuffer> SlotBuffer::AllocateGradient(Backend& backend,
                                                        const StageCapacity& capacity,
                                                        int64_t width) {
  if (!capacity.backward) return SlotBuffer();
  StageCapacity one = capacity;
  one.slots = 1;
  return Allocate(backend, one, width, one.dtype);
}

Span SlotBuffer::Rows(const Segment& segment) const {
  if (memory_.bytes() == 0) return Span();
  const int64_t first = segment.slot * rows_ + segment.first_row();
  return memory_.As(dtype_).Slice(first * width_, segment.rows() * width_);
}

kernels::Matrix SlotBuffer::Columns(const Segment& segment, int64_t first) const {
  const Span rows = Rows(segment);
  return {rows.Slice(first, rows.size() - first), width_};
}

absl::StatusOr<CarryBuffer> CarryBuffer::Allocate(Backend& backend, const StageCapacity& capacity,
                                                  int64_t size) {
  CarryBuffer buffer;
  buffer.dtype_ = capacity.dtype;
  buffer.borders_ = capacity.borders;
  buffer.size_ = size;
  CAROUSEL_ASSIGN_OR_RETURN(
      buffer.memory_,
      backend.Allocate(capacity.slots * capacity.borders * size * kernels::SizeOf(capacity.dtype)));
  return buffer;
}

absl::StatusOr<CarryBuffer> CarryBuffer::AllocateGradient(Backend& backend,
                                                          const StageCapacity& capacity,
                                                          int64_t size) {
  if (!capacity.backward) return CarryBuffer();
  StageCapacity two = capacity;
  two.slots = 1;
  two.borders = 2;
  return Allocate(backend, two, size);
}

Span CarryBuffer::Border(int slot, int index) const {
  if (memory_.bytes() == 0) return Span();
  const int64_t place = slot * borders_ + (index - 1) % borders_;
  return memory_.As(dtype_).Slice(place * size_, size_);
}

void Workspace::Reserve(int index, int64_t elements) {
  CAROUSEL_CHECK(memory_.empty());
  if (index >= static_cast<int>(elements_.size())) elements_.resize(index + 1, 0);
  elements_[index] = std::max(elements_[index], elements);
}

absl::Status Workspace::Allocate(Backend& backend, DType dtype) {
  dtype_ = dtype;
  for (int64_t elements : elements_) {
    CAROUSEL_ASSIGN_OR_RETURN(kernels::Buffer buffer,
                              backend.Allocate(elements * kernels::SizeOf(dtype)));
    memory_.push_back(std::move(buffer));
  }
  return absl::OkStatus();
}

Span Workspace::Get(int index, int64_t elements) const {
  return memory_[index].As(dtype_).Slice(0, elements);
}

}  // namespace carousel
