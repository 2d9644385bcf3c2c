// The proof that a plan may be sent out. Workers replay a plan without an opinion of their own, so
// whatever is wrong with it must be found here:
//
//   1. every stage runs each of F, B, W once for each segment of each micro-batch;
//   2. each kind in its one order: micro-batches ascending, the segments of F ascending (recurrent
//      states travel with time), those of B and W descending. So neighbours send and read in the
//      same order, and an edge needs no search; and every sum of a weight gradient is the same
//      chain whatever the schedule;
//   3. a segment's B follows its F, its W its B;
//   4. between the first B and the last W of a micro-batch runs no other's B: the gradients that
//      pass from one operation of a unit to the next lie in one place (worker/memory.h);
//   5. a slot is free when it is taken: micro-batch i lies in slot i % slots (worker/executor.h),
//      and its first F follows the last W of micro-batch i - slots;
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
