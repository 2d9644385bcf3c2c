// A job as people see it: the durable record, and while it runs its progress. Pure.
#pragma once

#include "coordinator/progress.h"
#include "proto/coordinator.pb.h"
#include "proto/journal.pb.h"

namespace carousel {

// `progress` may be null. A job at rest shows the state that a resume would start from, its newest
// checkpoint, whatever ran after it.
Job ViewJob(const CoordinatorState& state, const JobRecord& record, const JobProgress* progress);

// Newest first.
ListCheckpointsResponse ViewCheckpoints(const JobRecord& record);

}  // namespace carousel
