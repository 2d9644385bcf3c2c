// MicroBatchInputs: tokens, labels and document borders of the micro-batches in flight, on the
// device, cut into segments.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "cluster/data/micro_batch.h"
#include "kernels/backend.h"
#include "worker/memory.h"

namespace carousel {

// Not thread-safe. Host copies stay in place until the next Load of the same slot.
class MicroBatchInputs {
 public:
  static absl::StatusOr<MicroBatchInputs> Create(kernels::Backend* backend, kernels::Stream stream,
                                                 const StageCapacity& capacity, int segments);

  // Brings a micro-batch to the device as the content of `slot`. Waits until the one before it
  // there was taken, and fails if the stream has failed meanwhile.
  absl::Status Load(int slot, MicroBatch micro_batch);

  // Segment `index` of the micro-batch in `slot`; Run: adjacent segments [first, end) as one.
  Segment At(int slot, int index) const { return Run(slot, index, index + 1); }
  Segment Run(int slot, int first, int end) const;

  int segments() const { return segments_; }

 private:
  MicroBatchInputs(kernels::Backend* backend, kernels::Stream stream, const StageCapacity& capacity,
                   int segments)
      : backend_(backend), stream_(stream), capacity_(capacity), segments_(segments) {}

  kernels::Backend* backend_;
  kernels::Stream stream_;
  StageCapacity capacity_;
  int segments_;
  std::vector<MicroBatch> host_;              // by slot
  std::vector<kernels::Event> taken_;         // by slot: its host copy may go
  kernels::Buffer tokens_, labels_, resets_;  // [slots, S, B]
};

}  // namespace carousel
