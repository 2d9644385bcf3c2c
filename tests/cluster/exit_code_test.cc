#include "cluster/exit_code.h"

#include <gtest/gtest.h>

namespace carousel {
namespace {

TEST(ExitCode, TellsNobodyThereFromNotNow) {
  EXPECT_EQ(ExitCodeOf(UnreachableError("gone")), ExitCode::kUnreachable);
  EXPECT_EQ(ExitCodeOf(absl::UnavailableError("all workers are busy")), ExitCode::kError);
}

TEST(ExitCode, TellsAWrongCommandLineFromAWrongJob) {
  EXPECT_EQ(ExitCodeOf(UsageError("FILE is missing")), ExitCode::kUsage);
  EXPECT_EQ(ExitCodeOf(absl::InvalidArgumentError("steps: 0")), ExitCode::kInvalid);
  EXPECT_EQ(ExitCodeOf(absl::DataLossError("a.zst: is cut short")), ExitCode::kInvalid);
}

TEST(ExitCode, TellsWhatIsNotThereFromWhatIsNotPossibleNow) {
  EXPECT_EQ(ExitCodeOf(absl::NotFoundError("no job")), ExitCode::kNotFound);
  EXPECT_EQ(ExitCodeOf(absl::FailedPreconditionError("it runs")), ExitCode::kPrecondition);
  EXPECT_EQ(ExitCodeOf(absl::OkStatus()), ExitCode::kOk);
}

}  // namespace
}  // namespace carousel
