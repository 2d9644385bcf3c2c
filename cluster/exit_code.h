// What a script learns from an exit code, of whichever program. coordinator/cli/README.md has the
// table.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace carousel {

enum class ExitCode : int {
  kOk = 0,
  kError = 1,         // the server, the disk, a child process
  kUsage = 2,         // the command line
  kInvalid = 3,       // what is in a job file, text, dataset, pair, checkpoint
  kNotFound = 4,      // no such job, checkpoint, file or folder
  kUnreachable = 5,   // no coordinator answers
  kTimeout = 6,       // --timeout
  kPrecondition = 7,  // the state of things forbids it
  // How a job ended, from `carousel`'s `wait`, `watch` and `local`.
  kJobFailed = 100,
  kJobCancelled = 103,
  kJobPaused = 104,
  kInterrupted = 130,  // `local` was interrupted, has paused the job and said how to go on
};

// kUnavailable that means "nobody is there", unlike one that a coordinator answered.
absl::Status UnreachableError(const std::string& message);

// kInvalidArgument of the command line, not of a job.
absl::Status UsageError(const std::string& message);

ExitCode ExitCodeOf(const absl::Status& status);

}  // namespace carousel
