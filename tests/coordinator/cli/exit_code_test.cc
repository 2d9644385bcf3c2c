#include "coordinator/cli/exit_code.h"

#include <gtest/gtest.h>

namespace carousel {
namespace {

TEST(ExitCode, FollowsTheStateInWhichAJobRests) {
  EXPECT_EQ(ExitCodeOf(DONE), ExitCode::kOk);
  EXPECT_EQ(ExitCodeOf(FAILED), ExitCode::kJobFailed);
  EXPECT_EQ(ExitCodeOf(CANCELLED), ExitCode::kJobCancelled);
  EXPECT_EQ(ExitCodeOf(PAUSED), ExitCode::kJobPaused);
}

}  // namespace
}  // namespace carousel
