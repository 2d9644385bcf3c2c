#include "worker/micro_batch_inputs.h"

#include <utility>

#include "cluster/check.h"
#include "cluster/job/segments.h"
#include "cluster/status_macros.h"

namespace carousel {

using kernels::DType;

absl::StatusOr<MicroBatchInputs> MicroBatchInputs::Create(kernels::Backend* backend,
                                                          kernels::Stream stream,
                                                          const StageCapacity& capacity,
                                                          int segments) {
  CAROUSEL_CHECK(segments >= 1 &&
                 segments <= ChunksPerSequence(capacity.sequence_length, capacity.chunk));
  MicroBatchInputs inputs(backend, stream, capacity, segments);
  const int64_t rows = capacity.slots * capacity.rows();
  inputs.host_.resize(capacity.slots);
  inputs.taken_.resize(capacity.slots);
  CAROUSEL_ASSIGN_OR_RETURN(inputs.tokens_, backend->Allocate(rows * sizeof(int32_t)));
  CAROUSEL_ASSIGN_OR_RETURN(inputs.labels_, backend->Allocate(rows * sizeof(int32_t)));
  CAROUSEL_ASSIGN_OR_RETURN(inputs.resets_, backend->Allocate(rows));
  return inputs;
}

absl::Status MicroBatchInputs::Load(int slot, MicroBatch micro_batch) {
  const int64_t rows = capacity_.rows(), first = slot * rows;
  CAROUSEL_CHECK(static_cast<int64_t>(micro_batch.tokens.size()) == rows);
  MicroBatch& host = host_[slot];
  // The device may still be reading the one before.
  CAROUSEL_RETURN_IF_ERROR(taken_[slot].Wait());
  host = std::move(micro_batch);
  backend_->CopyToDevice(stream_, host.tokens.data(), tokens_.As(DType::kI32).Slice(first, rows));
  backend_->CopyToDevice(stream_, host.labels.data(), labels_.As(DType::kI32).Slice(first, rows));
  backend_->CopyToDevice(stream_, host.resets.data(), resets_.As(DType::kU8).Slice(first, rows));
  taken_[slot] = backend_->Record(stream_);
  return absl::OkStatus();
}

Segment MicroBatchInputs::Run(int slot, int first, int end) const {
  Segment segment;
  segment.slot = slot;
  segment.batch = capacity_.batch;
  auto range = [this](int index) {
    return SegmentOf(capacity_.sequence_length, capacity_.chunk, segments_, index);
  };
  segment.first_step = range(first).begin;
  segment.steps = range(end - 1).end - segment.first_step;
  segment.index = first;
  segment.last = end == segments_;
  const int64_t place = slot * capacity_.rows() + segment.first_row();
  segment.tokens = tokens_.As(DType::kI32).Slice(place, segment.rows());
  segment.labels = labels_.As(DType::kI32).Slice(place, segment.rows());
  segment.resets = resets_.As(DType::kU8).Slice(place, segment.rows());
  return segment;
}

}  // namespace carousel
