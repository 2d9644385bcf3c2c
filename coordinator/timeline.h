// A timeline: a schedule played against costs and bounded buffers, on paper. It answers whether the
// stages can finish at all (no deadlock), when, and how much of the time they stand idle.
//
// The model: a stage runs its operations in order, one at a time. An F of stage k sends its output
// to stage k + 1, a B its input gradient to stage k - 1. Each directed edge and kind is a channel
// with room for `credits` messages; a message keeps its room until the operation that reads it has
// ended, and a stage whose channel is full stands at the end of its operation until there is room.
// That is harsher than the worker, which goes on to the next operation while it waits for a credit:
// what finishes here finishes there.
//
// Pure.
#pragma once

#include <string>
#include <vector>

#include "coordinator/schedule.h"

namespace carousel {

// Seconds of one micro-batch (all its segments) on one stage.
struct StageCost {
  double forward = 1;
  double backward = 1;
  double weight_gradient = 1;
  double overhead = 0;  // added to every F and B: call and message
  double Total() const { return forward + backward + weight_gradient; }
};

struct Timeline {
  bool finished = false;
  double seconds = 0;       // of the step, if finished
  double bubble_ratio = 0;  // idle share of all stages' time: 1 - work / (stages * seconds)
  std::string standstill;   // otherwise: which stage waits for what
};

// `costs` has one entry for each stage; `credits` >= 1.
Timeline Play(const Schedule& schedule, int segments, const std::vector<StageCost>& costs,
              int credits);

}  // namespace carousel
