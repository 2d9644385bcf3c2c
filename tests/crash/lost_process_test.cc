// A worker that is killed or falls silent, a coordinator that is killed: the job is paused and says
// why, and goes on with the same bits.
#include <gtest/gtest.h>

#include "tests/crash/small_service.h"

namespace carousel {
namespace {

using std::chrono::seconds;

class LostProcess : public testing::Test {
 protected:
  bool WaitForCommit(const std::string& job) {
    return Eventually([&] { return service_.Describe(job).value("committed_step", -1) > 0; });
  }
  void ExpectReason(const nlohmann::json& job, const std::string& text) {
    EXPECT_NE(job["reason"].get<std::string>().find(text), std::string::npos) << job["reason"];
  }

  TemporaryFolder folder_;
  const std::string job_file_ = WriteCrashJob(folder_ / "job.yaml");
  const std::string without_checkpoints_ =
      WriteCrashJob(folder_ / "without.yaml", "{every_seconds: 0}");
  SmallService service_;
};

TEST_F(LostProcess, AKilledWorkerPausesTheJobWithinThreeSeconds) {
  service_.StartWorkers(3);
  const std::string job = service_.Submit(job_file_);
  ASSERT_TRUE(WaitForCommit(job));

  service_.worker(1).Kill();
  ASSERT_TRUE(service_.WaitForState(job, "paused", seconds(3))) << service_.Describe(job);
  const nlohmann::json paused = service_.Describe(job);
  ExpectReason(paused, service_.WorkerId(1));
  ExpectReason(paused, "committed step " + std::to_string(paused["committed_step"].get<int>()));
  EXPECT_GT(paused["committed_step"], 0);

  // Its shards are needed: without it the job stays where it is, and says whom it misses.
  const Finished refused = service_.Ask({"resume", job});
  EXPECT_EQ(refused.code, 7) << refused.err;
  EXPECT_NE(refused.err.find(service_.WorkerId(1)), std::string::npos) << refused.err;

  service_.StartWorker(1);
  const Finished resumed = service_.Ask({"resume", job});
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(service_.FinalDigest(job), UndisturbedDigest());
}

TEST_F(LostProcess, ASilentWorkerPausesTheJobWithinTenSecondsAndChangesNothingLater) {
  service_.StartWorkers(3);
  const std::string job = service_.Submit(without_checkpoints_);
  ASSERT_TRUE(service_.WaitForStep(job, 2));

  service_.worker(2).Signal(SIGSTOP);
  ASSERT_TRUE(service_.WaitForState(job, "paused", seconds(10))) << service_.Describe(job);
  ExpectReason(service_.Describe(job), service_.WorkerId(2));

  // The others begin again; in the middle of it the zombie wakes up, with the end of an old step in
  // its hands.
  const Finished resumed = service_.Ask({"resume", job});
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(Answer(resumed)["stages"].size(), 2);
  service_.worker(2).Signal(SIGCONT);
  EXPECT_EQ(service_.FinalDigest(job), UndisturbedDigest());
  EXPECT_TRUE(Eventually([&] { return service_.Alive(2); }))
      << "it has attached again: " << service_.worker(2).err();
}

TEST_F(LostProcess, AKilledCoordinatorLosesNothing) {
  service_.StartWorkers(2);
  const std::string job = service_.Submit(job_file_);
  ASSERT_TRUE(WaitForCommit(job));
  const int committed = service_.Describe(job)["committed_step"];

  service_.coordinator().Kill();
  EXPECT_EQ(service_.Ask({"describe", job}).code, 5);
  service_.StartCoordinator();

  const nlohmann::json restarted = service_.Describe(job);
  EXPECT_EQ(restarted["state"], "paused");
  EXPECT_GE(restarted["committed_step"], committed);
  ExpectReason(restarted, "restart");
  ASSERT_TRUE(Eventually([&] { return service_.Alive(0) && service_.Alive(1); }))
      << "workers find it again by themselves";
  const Finished resumed = service_.Ask({"resume", job});
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(service_.FinalDigest(job), UndisturbedDigest());
}

// It stops by itself before it is given up, so that no two of them ever hold one stage.
TEST_F(LostProcess, AWorkerThatHearsNothingOfItsCoordinatorLetsItsStageGo) {
  service_.StartWorkers(1);
  const std::string job = service_.Submit(without_checkpoints_);
  ASSERT_TRUE(service_.WaitForStep(job, 2));

  service_.coordinator().Signal(SIGSTOP);
  const bool said = Eventually(
      [&] {
        return service_.worker(0).err().find(
                   "lets its stage go: the coordinator is out of reach") != std::string::npos;
      },
      seconds(8));
  service_.coordinator().Signal(SIGCONT);

  EXPECT_TRUE(said) << service_.worker(0).err();
  EXPECT_TRUE(Eventually([&] { return service_.Alive(0); })) << service_.worker(0).err();
}

}  // namespace
}  // namespace carousel
