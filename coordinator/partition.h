// Partition: where to cut the stack of units (embedding, blocks, head) into stages. Exact: the
// largest stage time is the smallest that any cut reaches, and among those cuts the sum of squares
// is smallest, so that the stages below the largest are even too. Pure.
#pragma once

#include <span>
#include <vector>

#include "absl/status/statusor.h"

namespace carousel {

struct Partition {
  std::vector<int> end_unit;  // of each stage: one past its last unit
  double largest = 0;         // seconds of the slowest stage
};

// Cuts `unit_costs` (seconds of each unit, none negative) into `stages` >= 1 consecutive stages of
// at least one unit each; a stage takes its units' sum, on any worker. kInvalidArgument if there
// are more stages than units.
absl::StatusOr<Partition> MinMaxPartition(std::span<const double> unit_costs, int stages);

}  // namespace carousel
