// The proof that a plan may be sent out. Workers replay a plan without an opinion of their own, so
// whatever is wrong with it must be found here:
//
//   1. every stage runs each of F, B, W once for each segment of each micro-batch;
//   2. on its stage, a segment's F follows the F of the segment before it, its B the B of the
//      segment after it and its own F, its W its own B (recurrent states travel with time);
//   3. W runs in canonical order, micro-batches ascending and segments descending, so that every
//      sum of a weight gradient is the same chain whatever the schedule;
//   4. neighbours send and read in the same order, so that an edge needs no search;
//   5. no stage keeps more micro-batches alive than its slots;
//   6. all stages finish under the credits (timeline.h), so nobody waits for ever.
//
// Pure.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "coordinator/schedule.h"
#include "coordinator/timeline.h"

namespace carousel {

// kInternal with stage, operation and rule of the first fault: a fault is ours, never the user's.
absl::Status VerifySchedule(const Schedule& schedule, const ScheduleShape& shape, int credits);

// The same of a plan as it is sent, and that its stages cover `units` units in order, none empty,
// no worker twice.
absl::Status VerifyPlan(const Plan& plan, int units);

// The schedule that a plan carries.
Schedule ScheduleOf(const Plan& plan);

}  // namespace carousel
