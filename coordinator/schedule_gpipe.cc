#include "coordinator/schedule.h"

namespace carousel {

Schedule GPipe(const ScheduleShape& shape) {
  const int units = shape.micro_batches * shape.segments;
  StageSchedule stage;
  for (int unit = 0; unit < units; ++unit) {
    schedule_internal::AppendForward(unit, shape.segments, &stage.ops);
  }
  for (int unit = 0; unit < units; ++unit) {
    schedule_internal::AppendBackward(unit, shape.segments, &stage.ops);
  }
  stage.slots = SlotsNeeded(stage.ops, shape.segments);
  return Schedule(shape.stages, stage);
}

}  // namespace carousel
