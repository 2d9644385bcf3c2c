// Runs a job in one process in any shape: as the reference trainer, or as the stages of a plan on
// threads joined by loopback edges. The code that runs is the workers' own: planner, executor,
// stage, inbox.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "kernels/backend.h"
#include "proto/job.pb.h"

namespace carousel {

// What the planner and the operator may choose freely.
struct Shape {
  int stages = 0;  // 0: the reference trainer
  ScheduleKind schedule = ONE_F_ONE_B;
  int segments = 1;
  int threads = 1;
  kernels::Isa isa = kernels::Isa::kAvx2;
  bool test_backend = false;
  int credits = 0;  // of each edge; 0: as many as the planner gives

  std::string ToString() const;
};

// State digest (hex) after all steps of the resolved job.
absl::StatusOr<std::string> RunInShape(const JobSpec& job, const Shape& shape);

}  // namespace carousel
