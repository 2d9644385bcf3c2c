#include "worker/job_log.h"

#include <gtest/gtest.h>

#include "tests/worker/quiet_log.h"

namespace carousel {
namespace {

TEST(JobLog, LinesAboutAJobGoToTheOwnLogAndWaitForTheCoordinator) {
  const auto log = NewQuietLog();
  JobLog job_log(log.get());

  job_log.Write(LogLevel::kInfo, "lm-7", "installs stage 1");
  job_log.Write(LogLevel::kInfo, "", "attached");
  const std::vector<WorkerLog> taken = job_log.Take();

  EXPECT_EQ(AllOf(*log), "job lm-7: installs stage 1\nattached\n");
  ASSERT_EQ(taken.size(), 1u);
  EXPECT_EQ(taken[0].job(), "lm-7");
  EXPECT_EQ(taken[0].line(), "installs stage 1");
  EXPECT_TRUE(job_log.Take().empty());
}

TEST(JobLog, WithoutACoordinatorTheNewestLinesAreKeptAndTheGapIsSaid) {
  const auto log = NewQuietLog();
  JobLog job_log(log.get());

  for (size_t i = 0; i < JobLog::kMostWaiting + 3; ++i)
    job_log.Write(LogLevel::kInfo, "lm-7", std::to_string(i));
  const std::vector<WorkerLog> taken = job_log.Take();

  ASSERT_EQ(taken.size(), JobLog::kMostWaiting);
  EXPECT_EQ(taken.front().line(), "(lines before this one were lost) 3");
  EXPECT_EQ(taken.back().line(), std::to_string(JobLog::kMostWaiting + 2));
}

}  // namespace
}  // namespace carousel
