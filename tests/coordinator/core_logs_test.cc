// What the coordinator writes into its log about jobs, for `carousel logs`.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cluster/log.h"
#include "tests/coordinator/core_testing.h"

namespace carousel {
namespace {

class CoreLogsTest : public CoreTest {
 protected:
  // The lines about the job behind the one of that number.
  static std::vector<std::string> LifeOf(const std::string& job, int64_t behind) {
    const std::string lead = "job " + job + ": ";
    std::vector<std::string> life;
    for (const LogLine& line : ProcessLog().Since(behind, SIZE_MAX)) {
      if (line.message.starts_with(lead)) life.push_back(line.message.substr(lead.size()));
    }
    return life;
  }
  static int64_t Newest() {
    LogInfo("test", "begins");
    return ProcessLog().Since(0, 1).back().sequence;
  }
};

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
  const int64_t before = Newest();
  cluster_.AttachAll(2);
  const std::string job = cluster_.Submit(TinyJob("lm", 20));
  cluster_.RunToStep(job, 7);
  cluster_.Kill("w2");

  EXPECT_EQ(LifeOf(job, before),
            (std::vector<std::string>{
                "QUEUED", "STARTING", "RUNNING at step 0",
                "PAUSED at step 7: worker w2 was lost (its connection closed); no checkpoint "
                "yet"}));
}

TEST_F(CoreLogsTest, AJobThatIsResumedRunsFromTheStepOfItsCheckpoint) {
  cluster_.AttachAll(1);
  const std::string job = cluster_.Submit(TinyJob("lm", 20));
  cluster_.RunToStep(job, 7);
  ASSERT_TRUE(Pause(job).ok());
  cluster_.Settle();
  const int64_t committed = cluster_.View(job).committed_step();
  ASSERT_GE(committed, 7);
  const int64_t before = Newest();

  ASSERT_TRUE(Resume(job).ok());
  cluster_.RunToStep(job, committed + 1);

  const std::vector<std::string> life = LifeOf(job, before);
  ASSERT_FALSE(life.empty());
  EXPECT_EQ(life.back(), "RUNNING at step " + std::to_string(committed));
}

}  // namespace
}  // namespace carousel
