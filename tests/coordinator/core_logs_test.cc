// What the coordinator writes into its log about jobs, for `carousel logs`.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cluster/log.h"
#include "tests/coordinator/core_testing.h"

namespace carousel {
namespace {

class CoreLogsTest : public CoreTest {};

TEST_F(CoreLogsTest, LogsWhatAWorkerSaysUnderItsJob) {
  cluster_.AttachAll(1);
  const std::string job = cluster_.Submit(TinyJob("lm", 3));
  WorkerMessage message;
  message.mutable_log()->set_job(job);
  message.mutable_log()->set_line("restores unit 3 from w2");

  cluster_.SendFrom("w1", message);

  const LogLine line = ProcessLog().Since(0, 1).back();
  EXPECT_EQ(line.component, "worker w1");
  EXPECT_EQ(line.message, "job lm-1: restores unit 3 from w2");
}

TEST_F(CoreLogsTest, LogsTheLifeOfAJobWithTheStepThatItHadComeTo) {
  LogInfo("test", "begins");
  const int64_t before = ProcessLog().Since(0, 1).back().sequence;
  cluster_.AttachAll(2);
  const std::string job = cluster_.Submit(TinyJob("lm", 20));
  cluster_.RunToStep(job, 7);
  cluster_.Kill("w2");

  std::vector<std::string> life;
  for (const LogLine& line : ProcessLog().Since(before, SIZE_MAX)) {
    if (line.message.starts_with("job lm-1: ")) life.push_back(line.message.substr(10));
  }
  EXPECT_EQ(life, (std::vector<std::string>{
                      "QUEUED", "STARTING", "RUNNING at step 0",
                      "PAUSED at step 7: worker w2 was lost (its connection closed); no checkpoint "
                      "yet"}));
}

}  // namespace
}  // namespace carousel
