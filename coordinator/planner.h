// The planner: from a job's wishes, the workers that are free and the measured costs of the units,
// to a plan. It chooses what changes no bit (stages, segments, schedule, placement) and nothing
// else. Pure: the same request gives the same plan.
//
// Choices where the job leaves them open: as many stages as there are free workers (at most one a
// unit); 1F1B; the number of segments with the shortest predicted step, each segment paying
// kSegmentOverhead for its call and message on each stage.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/coordinator.pb.h"
#include "proto/job.pb.h"
#include "proto/plan.pb.h"

namespace carousel {

inline constexpr double kSegmentOverhead =
    0.0003;  // seconds; an estimate: one call and one message on each stage
inline constexpr int kMaxChosenSegments = 16;  // the planner's own choice; a wish may be more
inline constexpr int kCredits = 2;  // one message being read, one behind it: hides the round trip

struct PlanRequest {
  std::string job;
  uint64_t epoch = 0;
  JobSpec spec;                 // resolved
  std::vector<UnitCost> costs;  // of every unit, in unit order; none negative
  struct Worker {
    std::string id;
    std::string address;
  };
  std::vector<Worker> workers;  // free, in the order in which they take stages
};

// Are the job's pipeline wishes possible on some cluster? kInvalidArgument with one line a fault:
// field, value, limit and the nearest value that works. `spec` is resolved.
absl::Status CheckWishes(const JobSpec& spec);

// How many workers the job waits for: its wish, or one.
int WorkersNeeded(const JobSpec& spec);

// A verified plan. kInvalidArgument as CheckWishes; kUnavailable if there are fewer workers than
// the job wishes stages, with both ways out.
absl::StatusOr<Plan> MakePlan(const PlanRequest& request);

}  // namespace carousel
