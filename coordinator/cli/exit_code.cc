#include "coordinator/cli/exit_code.h"

namespace carousel {

ExitCode ExitCodeOf(JobState state) {
  switch (state) {
    case FAILED:
      return ExitCode::kJobFailed;
    case CANCELLED:
      return ExitCode::kJobCancelled;
    case PAUSED:
      return ExitCode::kJobPaused;
    default:
      return ExitCode::kOk;
  }
}

}  // namespace carousel
