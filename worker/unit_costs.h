// What units cost on this worker: measured, for the partition. One unit of each kind is built and
// run for real; a cost model could not know an sLSTM's latency on a given machine.
#pragma once

#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/backend.h"
#include "proto/coordinator.pb.h"
#include "proto/job.pb.h"

namespace carousel {

// Seconds of one micro-batch for each unit of the model, in unit order; units of one kind share
// their measurement. `job` is resolved. `cancelled` is asked before every operation that is timed
// and ends the call with kCancelled; empty: never.
absl::StatusOr<std::vector<UnitCost>> MeasureUnitCosts(const JobSpec& job,
                                                       kernels::Backend* backend,
                                                       const std::function<bool()>& cancelled = {});

}  // namespace carousel
