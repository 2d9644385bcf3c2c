#include <gtest/gtest.h>

#include <string>

#include "cluster/keys.h"
#include "cluster/log.h"
#include "tests/coordinator/core_testing.h"

namespace carousel {
namespace {

class CoreCheckpointsTest : public CoreTest {
 protected:
  // A job with two checkpoints, at rest.
  std::string CancelledJob(const JobSpec& spec) {
    cluster_.AttachAll(2);
    const std::string job = cluster_.Submit(spec);
    cluster_.RunToStep(job, 14);
    EXPECT_TRUE(Cancel(job).ok());
    cluster_.Settle();
    return job;
  }
  // All stages of a running one-stage job say that they stored `step`.
  void SendPrepared(const std::string& job, int64_t step, int64_t sequences) {
    WorkerMessage message;
    Prepared* prepared = message.mutable_prepared();
    prepared->set_job(job);
    prepared->set_epoch(cluster_.View(job).epoch());
    prepared->set_step(step);
    for (int unit = 0; unit < 6; ++unit) {
      prepared->add_shards()->set_unit(unit);
      prepared->mutable_shards(unit)->set_digest(std::string(TrainedUnit(unit, step).AsBytes()));
    }
    prepared->mutable_cursor()->set_step(step);
    prepared->mutable_cursor()->set_sequences(sequences);
    cluster_.SendFrom("w1", message);
  }
};

TEST_F(CoreCheckpointsTest, RefusesAResumeWhoseShardsAreOutOfReach) {
  JobSpec spec = TinyJob("lm", 20);
  spec.mutable_checkpoint()->set_every_steps(4);
  cluster_.AttachAll(3);
  const std::string job = cluster_.Submit(spec);
  cluster_.RunToStep(job, 7);
  cluster_.Kill("w2");
  cluster_.Settle();

  const absl::Status refused = Resume(job);

  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(refused.message().find("worker w2 (units 2-3)"), std::string::npos) << refused;

  cluster_.Attach("w2", /*serves_only=*/true);
  ASSERT_TRUE(Resume(job).ok());
  cluster_.Settle();
  ExpectDone(job, spec);
}

TEST_F(CoreCheckpointsTest, AsksForACheckpointWhenItsTimeHasCome) {
  JobSpec spec = TinyJob("lm", 1000);
  spec.mutable_checkpoint()->set_every_seconds(60);
  cluster_.AttachAll(2);
  const std::string job = cluster_.Submit(spec);
  cluster_.RunToStep(job, 3);
  cluster_->Tick();

  for (int second = 0; second < 61; ++second) {
    cluster_.clock().Advance(1);
    cluster_.Heartbeats();
    cluster_->Tick();
  }
  cluster_.RunToStep(job, 10);

  EXPECT_GT(cluster_.View(job).committed_step(), 3);
  EXPECT_EQ(cluster_.StateOf(job), RUNNING);
}

TEST_F(CoreCheckpointsTest, RefusesACheckpointThatIsNotWhatRan) {
  cluster_.AttachAll(1);
  const std::string job = cluster_.Submit(TinyJob("lm", 1000));
  cluster_.RunToStep(job, 3);
  WorkerMessage message;
  Prepared* prepared = message.mutable_prepared();
  prepared->set_job(job);
  prepared->set_epoch(cluster_.View(job).epoch());
  prepared->set_step(3);
  for (int unit = 0; unit < 6; ++unit) {
    prepared->add_shards()->set_unit(unit);
    prepared->mutable_shards(unit)->set_digest(std::string(DigestOf("rot").AsBytes()));
  }
  prepared->mutable_cursor()->set_step(3);
  prepared->mutable_cursor()->set_sequences(24);

  cluster_.SendFrom("w1", message);

  EXPECT_EQ(cluster_.StateOf(job), FAILED);
  EXPECT_NE(cluster_.View(job).reason().find("is not what ran"), std::string::npos);
  EXPECT_EQ(cluster_.View(job).committed_step(), -1);
}

TEST_F(CoreCheckpointsTest, GoesBackOneCheckpointIfTheNewestIsDamaged) {
  JobSpec spec = TinyJob("lm", 100);
  spec.mutable_checkpoint()->set_every_steps(4);
  cluster_.AttachAll(2);
  const std::string job = cluster_.Submit(spec);
  cluster_.RunToStep(job, 14);
  ASSERT_TRUE(Cancel(job).ok());
  cluster_.Settle();
  const int64_t newest = cluster_.View(job).committed_step();
  StoreBatch damage;
  damage.Put(ManifestKey(job, newest), "not a manifest");
  ASSERT_TRUE(cluster_.store().Commit(damage).ok());

  const absl::Status resumed = Resume(job);
  ASSERT_TRUE(resumed.ok()) << resumed;

  EXPECT_LT(cluster_.View(job).committed_step(), newest);
  EXPECT_EQ(cluster_.StateOf(job), STARTING);
  cluster_.Settle();
  ExpectDone(job, spec);
}

TEST_F(CoreCheckpointsTest, StopsIfTheDiskIsFullAtACommitAndLosesNothing) {
  for (const bool lands : {false, true}) {
    FakeCluster cluster;
    JobSpec spec = TinyJob("lm", 40);
    spec.mutable_checkpoint()->set_every_steps(4);
    cluster.AttachAll(1);
    const std::string job = cluster.Submit(spec);
    cluster.RunToStep(job, 6);
    ASSERT_EQ(cluster.View(job).committed_step(), 4);

    // The event of the last Prepared is the first commit, its checkpoint's the second. The third
    // would succeed, and must not come: its event would take the place of one that may have landed.
    cluster.store().FailAfter(1, lands, /*failures=*/1);
    cluster.Settle();

    EXPECT_EQ(cluster->broken().code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(cluster.StateOf(job), RUNNING) << "no failure of the job: nothing may follow";
    cluster.RestartCoordinator();
    EXPECT_EQ(cluster.View(job).committed_step(), lands ? 8 : 4);
    cluster.AttachAll(1);
    ASSERT_TRUE(cluster->Resume("resume", job, {}).ok());
    cluster.Settle();
    EXPECT_EQ(cluster.StateOf(job), DONE) << cluster.View(job).reason();
    EXPECT_EQ(cluster.View(job).state_digest(), TrainedState(spec, 40));
  }
}

TEST_F(CoreCheckpointsTest, WarnsAtItsStartOfAManifestThatDoesNotVerify) {
  JobSpec spec = TinyJob("lm", 100);
  spec.mutable_checkpoint()->set_every_steps(4);
  const std::string job = CancelledJob(spec);
  StoreBatch damage;
  damage.Put(ManifestKey(job, cluster_.View(job).committed_step()), "not a manifest");
  ASSERT_TRUE(cluster_.store().Commit(damage).ok());

  const std::vector<LogLine> before = ProcessLog().Since(0, 1);
  cluster_.RestartCoordinator();

  const std::vector<LogLine> said = ProcessLog().Since(before.back().sequence, SIZE_MAX);
  ASSERT_FALSE(said.empty());
  EXPECT_EQ(said[0].level, LogLevel::kWarning);
  EXPECT_NE(said[0].message.find("job lm-1: the manifest of step"), std::string::npos)
      << said[0].message;
}

TEST_F(CoreCheckpointsTest, TakesNoReadErrorForDamage) {
  JobSpec spec = TinyJob("lm", 100);
  spec.mutable_checkpoint()->set_every_steps(4);
  const std::string job = CancelledJob(spec);
  const int64_t newest = cluster_.View(job).committed_step();

  cluster_.store().FailReads(true);
  Resume(job).IgnoreError();

  EXPECT_EQ(cluster_->broken().message(),
            "a checkpoint cannot be read: the disk does not answer; nothing is lost: repair the "
            "store, start again");
  cluster_.store().FailReads(false);
  cluster_.RestartCoordinator();
  EXPECT_EQ(cluster_.View(job).committed_step(), newest);
}

TEST_F(CoreCheckpointsTest, GoesBackOneCheckpointIfAShardOfTheNewestIsGone) {
  JobSpec spec = TinyJob("lm", 100);
  spec.mutable_checkpoint()->set_every_steps(4);
  const std::string job = CancelledJob(spec);
  const int64_t newest = cluster_.View(job).committed_step();
  const int64_t before = (newest - 1) / 4 * 4;
  ASSERT_GT(newest, before + 1) << "there are steps to commit between the two";
  cluster_.LoseShards("w2", newest);

  ResumeChanges changes;
  changes.checkpoint = spec.checkpoint();
  changes.checkpoint->set_every_steps(1);
  ASSERT_TRUE(cluster_->Resume("resume", job, changes).ok());
  std::mt19937 random(1);
  while (cluster_.View(job).committed_step() == newest) ASSERT_TRUE(cluster_.Move(&random));

  EXPECT_EQ(cluster_.StateOf(job), STARTING);
  EXPECT_EQ(cluster_.View(job).reason(),
            "the checkpoint of step " + std::to_string(newest) +
                " is damaged: worker w2: w2 has no unit 3; goes back to step " +
                std::to_string(before));
  cluster_.Settle();
  ExpectDone(job, spec);
}

TEST_F(CoreCheckpointsTest, FailsAJobWhoseOnlyCheckpointIsGoneAndBeginsAgainIfAsked) {
  const JobSpec spec = TinyJob("lm", 100);
  const std::string job = CancelledJob(spec);
  const int64_t only = cluster_.View(job).committed_step();
  cluster_.LoseShards("w1", only);

  ASSERT_TRUE(Resume(job).ok());
  cluster_.Settle();

  EXPECT_EQ(cluster_.StateOf(job), FAILED);
  EXPECT_EQ(cluster_.View(job).reason(),
            "the checkpoint of step " + std::to_string(only) +
                " is damaged: worker w1: w1 has no unit 0; it was the last one, and a "
                "resume begins again at step 0");
  ASSERT_TRUE(Resume(job).ok());
  cluster_.Settle();
  ExpectDone(job, spec);
}

TEST_F(CoreCheckpointsTest, ChecksACheckpointThatWasWrittenForManySteps) {
  cluster_.AttachAll(1);
  const std::string job = cluster_.Submit(TinyJob("lm", 1000));
  cluster_.RunToStep(job, 200);

  SendPrepared(job, 3, 3 * 8);

  EXPECT_EQ(cluster_.View(job).committed_step(), 3);
  EXPECT_EQ(FindJob(cluster_->state(), job)->checkpoints(0).summary().tokens(), 300);
}

TEST_F(CoreCheckpointsTest, RefusesACheckpointOfAStepThatDidNotRun) {
  cluster_.AttachAll(1);
  const std::string job = cluster_.Submit(TinyJob("lm", 1000));
  cluster_.RunToStep(job, 3);

  SendPrepared(job, 500, 500 * 8);

  EXPECT_EQ(cluster_.StateOf(job), FAILED);
  EXPECT_NE(cluster_.View(job).reason().find("cannot be compared with what ran"), std::string::npos)
      << cluster_.View(job).reason();
}

TEST_F(CoreCheckpointsTest, RefusesStepsAndCursorsThatCannotBe) {
  struct Case {
    int64_t step, sequences;
  };
  for (const Case& wrong : {Case{-1, -8}, Case{0, 0}, Case{3, -1}, Case{3, 25}, Case{1001, 8008},
                            Case{INT64_MAX, 8}, Case{INT64_MIN, 8}}) {
    const std::string job = cluster_.Submit(TinyJob("lm", 1000));
    cluster_.AttachAll(1);
    cluster_.RunToStep(job, 3);

    SendPrepared(job, wrong.step, wrong.sequences);

    EXPECT_EQ(cluster_.StateOf(job), FAILED) << wrong.step;
    EXPECT_NE(cluster_.View(job).reason().find("worker w1 prepared step"), std::string::npos)
        << cluster_.View(job).reason();
    cluster_.Settle();
  }
}

TEST_F(CoreCheckpointsTest, HasOrphansSweptWhenTheirWorkerJoinsAgain) {
  cluster_.AttachAll(2);
  const std::string job = cluster_.Submit(TinyJob("lm", 1000));
  cluster_.RunToStep(job, 3);
  ASSERT_TRUE(Pause(job).ok());
  std::mt19937 random(1);
  while (cluster_.StoredSteps("w1", job).empty()) ASSERT_TRUE(cluster_.Move(&random));
  cluster_.Kill("w1");  // before its Prepared has arrived
  ASSERT_EQ(cluster_.View(job).committed_step(), -1);

  cluster_.Attach("w1");
  cluster_.Settle();

  EXPECT_EQ(cluster_.StoredSteps("w1", job), std::set<int64_t>{});
}

}  // namespace
}  // namespace carousel
