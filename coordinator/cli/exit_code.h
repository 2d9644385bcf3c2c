// What a verb comes to, as a script learns it. README.md has the table.
#pragma once

#include "absl/status/statusor.h"
#include "cluster/exit_code.h"
#include "proto/coordinator.pb.h"

namespace carousel {

// An error is printed and mapped by ExitCodeOf.
using Outcome = absl::StatusOr<ExitCode>;

// Of a job at rest.
ExitCode ExitCodeOf(JobState state);

}  // namespace carousel
