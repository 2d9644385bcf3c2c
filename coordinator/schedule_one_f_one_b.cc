#include <algorithm>

#include "coordinator/schedule.h"

namespace carousel {

Schedule OneFOneB(const ScheduleShape& shape) {
  const int units = shape.micro_batches * shape.segments;
  Schedule schedule(shape.stages);
  for (int k = 0; k < shape.stages; ++k) {
    StageSchedule& stage = schedule[k];
    // The last stage needs a whole micro-batch before its first backward; with one segment that
    // forward is the alternation's own, hence the -2.
    const int warm_up = std::min(shape.stages - k - 2 + shape.segments, units);
    for (int unit = 0; unit < warm_up; ++unit) {
      schedule_internal::AppendForward(unit, shape.segments, &stage.ops);
    }
    for (int unit = 0; unit < units; ++unit) {
      if (warm_up + unit < units) {
        schedule_internal::AppendForward(warm_up + unit, shape.segments, &stage.ops);
      }
      schedule_internal::AppendBackward(unit, shape.segments, &stage.ops);
    }
    stage.slots = SlotsNeeded(stage.ops, shape.segments);
  }
  return schedule;
}

}  // namespace carousel
