#include "coordinator/schedule.h"

#include <algorithm>
#include <map>

#include "cluster/check.h"

namespace carousel {
namespace schedule_internal {

void AppendForward(int unit, int segments, std::vector<Op>* ops) {
  ops->push_back({FORWARD, unit / segments, unit % segments});
}

void AppendBackward(int unit, int segments, std::vector<Op>* ops) {
  const int micro_batch = unit / segments;
  const int segment = segments - 1 - unit % segments;
  ops->push_back({BACKWARD, micro_batch, segment});
  if (segment > 0) return;
  for (int late = segments - 1; late >= 0; --late) {
    ops->push_back({WEIGHT_GRADIENT, micro_batch, late});
  }
}

}  // namespace schedule_internal

Schedule MakeSchedule(ScheduleKind kind, const ScheduleShape& shape) {
  CAROUSEL_CHECK(kind == GPIPE || kind == ONE_F_ONE_B);
  return kind == GPIPE ? GPipe(shape) : OneFOneB(shape);
}

int SlotsNeeded(const std::vector<Op>& ops, int segments) {
  std::map<int, int> weight_gradients_left;  // of the micro-batches under way
  size_t most = 0;
  for (const Op& op : ops) {
    if (op.kind == FORWARD) {
      weight_gradients_left.try_emplace(op.micro_batch, segments);
    } else if (op.kind == WEIGHT_GRADIENT) {
      const auto it = weight_gradients_left.find(op.micro_batch);
      if (it != weight_gradients_left.end() && --it->second == 0) weight_gradients_left.erase(it);
    }
    most = std::max(most, weight_gradients_left.size());
  }
  return static_cast<int>(most);
}

std::string ToString(const Op& op, int segments) {
  std::string text = op.kind == FORWARD ? "F" : op.kind == BACKWARD ? "B" : "W";
  text += std::to_string(op.micro_batch);
  if (segments > 1) text += "." + std::to_string(op.segment);
  return text;
}

std::string ToString(const std::vector<Op>& ops, int segments) {
  std::string text;
  for (const Op& op : ops) text += (text.empty() ? "" : " ") + ToString(op, segments);
  return text;
}

}  // namespace carousel
