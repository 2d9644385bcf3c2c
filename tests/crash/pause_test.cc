// Pause and cancel through the service: resumed on other workers and with other wishes, the same
// bits.
#include <gtest/gtest.h>

#include "tests/crash/small_service.h"

namespace carousel {
namespace {

class Pause : public testing::Test {
 protected:
  // `verb` at some step from `step` on; the job's state then.
  nlohmann::json Stop(const std::string& verb, const std::string& job, int step) {
    EXPECT_TRUE(service_.WaitForStep(job, step)) << service_.Describe(job);
    const Finished stopped = service_.Ask({verb, job});
    EXPECT_EQ(stopped.code, 0) << stopped.err;
    const nlohmann::json at = Answer(stopped);
    EXPECT_EQ(at["step"], at["committed_step"]) << "nothing lost";
    EXPECT_GE(at["step"], step);
    EXPECT_LT(at["step"], 40) << "it was too late";
    return at;
  }

  TemporaryFolder folder_;
  const std::string job_file_ = WriteCrashJob(folder_ / "job.yaml", "{every_seconds: 0}");
  SmallService service_{
      SmallService::kLongLease};  // a machine under load must not look like a lost worker
};

TEST_F(Pause, PausedCancelledAndResumedOnOtherPipelinesGivesTheSameBits) {
  service_.StartWorkers(3);
  const std::string job = service_.Submit(job_file_);

  // Paused on 3 stages, resumed on 1 with another schedule,
  nlohmann::json at = Stop("pause", job, 3);
  EXPECT_EQ(at["state"], "paused");
  Finished resumed = service_.Ask(
      {"resume", job, "--set", "pipeline.stages=1", "--set", "pipeline.schedule=gpipe"});
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(Answer(resumed)["stages"].size(), 1);
  EXPECT_GE(Answer(resumed)["step"], at["step"]);

  // cancelled there, resumed on 2 with segments,
  at = Stop("cancel", job, at["step"].get<int>() + 3);
  EXPECT_EQ(at["state"], "cancelled");
  resumed = service_.Ask({"resume", job, "--set", "pipeline.stages=2", "--set",
                          "pipeline.schedule=gpipe", "--set", "pipeline.segments=2"});
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(Answer(resumed)["stages"].size(), 2);
  EXPECT_EQ(Answer(resumed)["segments"], 2);
  EXPECT_EQ(Answer(resumed)["schedule"], "gpipe");

  // and it comes to what an undisturbed run comes to.
  EXPECT_EQ(service_.FinalDigest(job), UndisturbedDigest());
}

TEST_F(Pause, APauseWhoseWorkerIsLostBeforeTheBoundarySaysThatItFellShort) {
  service_.StartWorkers(2);
  const std::string job = service_.Submit(job_file_);
  ASSERT_TRUE(service_.WaitForStep(job, 3)) << service_.Describe(job);
  service_.worker(1).Signal(SIGSTOP);  // no boundary can be reached now
  Program pause(Carousel({"pause", job, "--coordinator", service_.address()}));
  ASSERT_TRUE(service_.WaitForState(job, "pausing")) << service_.Describe(job);

  service_.worker(1).Kill();

  const Finished finished = pause.Wait();
  EXPECT_EQ(finished.code, 1) << finished.err;
  const std::string lost =
      "it was cut short, and what ran after its checkpoint is lost: worker " + service_.WorkerId(1);
  for (const std::string& text :
       {lost, "`carousel resume " + job + " --coordinator " + service_.address() + "`"}) {
    EXPECT_NE(finished.err.find(text), std::string::npos) << finished.err;
  }
  const Finished again = service_.Ask({"pause", job});
  EXPECT_EQ(again.code, 1) << "whoever asks again gets the same answer";
  EXPECT_NE(again.err.find(lost), std::string::npos) << again.err;
  EXPECT_EQ(Answer(again)["state"], "paused");
  EXPECT_EQ(Answer(again)["cut_short"], true);
  service_.StartWorker(1);
  ASSERT_EQ(service_.Ask({"resume", job}).code, 0);
  EXPECT_EQ(service_.FinalDigest(job), UndisturbedDigest());
}

TEST_F(Pause, AContractCannotBeChangedByAResume) {
  service_.StartWorkers(1);
  const std::string job = service_.Submit(job_file_);
  Stop("pause", job, 1);

  for (const std::string change : {"learning_rate.peak=1e-4", "steps=50"}) {
    const Finished refused = service_.Ask({"resume", job, "--set", change});
    EXPECT_NE(refused.code, 0) << change;
    EXPECT_NE(refused.err.find(change.substr(0, change.find('='))), std::string::npos)
        << refused.err;
    EXPECT_NE(refused.err.find("pipeline"), std::string::npos) << refused.err;
    EXPECT_EQ(service_.Describe(job)["state"], "paused");
  }
}

}  // namespace
}  // namespace carousel
