#include <gtest/gtest.h>

#include <random>
#include <string>

#include "tests/coordinator/core_testing.h"

namespace carousel {
namespace {

class CoreWorkersTest : public CoreTest {
 protected:
  // A failure of a stage of the running epoch.
  StageFailure FailureOf(const std::string& job, const std::string& reason) {
    return FailureIn(cluster_, job, reason).failure();
  }
  static WorkerMessage FailureIn(FakeCluster& cluster, const std::string& job,
                                 const std::string& reason) {
    WorkerMessage message;
    StageFailure& failure = *message.mutable_failure();
    failure.set_job(job);
    failure.set_epoch(cluster.View(job).epoch());
    failure.set_reason(reason);
    return message;
  }
  void SendFrom(const std::string& worker, const StageFailure& failure) {
    WorkerMessage message;
    *message.mutable_failure() = failure;
    cluster_.SendFrom(worker, message);
  }
};

TEST_F(CoreWorkersTest, PausesAJobThatLostAWorkerAndNamesIt) {
  JobSpec spec = TinyJob("lm", 20);
  spec.mutable_checkpoint()->set_every_steps(4);
  cluster_.AttachAll(3);
  const std::string job = cluster_.Submit(spec);
  cluster_.RunToStep(job, 7);
  ASSERT_GE(cluster_.View(job).committed_step(), 4);
  const std::string committed = std::to_string(cluster_.View(job).committed_step());

  cluster_.Kill("w2");

  const Job view = cluster_.View(job);
  EXPECT_EQ(view.state(), PAUSED);
  EXPECT_EQ(view.reason(),
            "worker w2 was lost (its connection closed); last committed step " + committed);
  EXPECT_EQ(std::to_string(view.step()), committed) << "what ran after it is not there any more";
}

// Of a job that is asked to stop at a step boundary: did it come to that boundary?
TEST_F(CoreWorkersTest, SaysThatAJobRestsShortOfTheBoundaryThatWasAskedFor) {
  for (const bool cancel : {false, true}) {
    FakeCluster cluster;
    cluster.AttachAll(2);
    const std::string job = cluster.Submit(TinyJob("lm", 20));
    cluster.RunToStep(job, 7);
    ASSERT_TRUE((cancel ? cluster->Cancel("stop", job) : cluster->Pause("stop", job)).ok());

    cluster.Kill("w2");

    EXPECT_EQ(cluster.StateOf(job), cancel ? CANCELLED : PAUSED);
    EXPECT_TRUE(cluster.View(job).cut_short());
    cluster.AttachAll(2);
    ASSERT_TRUE(cluster->Resume("resume", job, {}).ok());
    cluster.RunToStep(job, 3);
    EXPECT_FALSE(cluster.View(job).cut_short());
    ASSERT_TRUE(cluster->Pause("again", job).ok());
    cluster.Settle();
    EXPECT_EQ(cluster.StateOf(job), PAUSED);
    EXPECT_FALSE(cluster.View(job).cut_short()) << "this time its checkpoint is committed";
  }
}

// The checkpoint of the boundary is committed and one stage has said that it stands there: nothing
// is lost any more, whatever becomes of the other.
TEST_F(CoreWorkersTest, LosesNothingWhenAStageDiesBehindTheBoundary) {
  for (const bool cancel : {false, true}) {
    for (const bool failure : {false, true}) {
      FakeCluster cluster;
      cluster.AttachAll(2);
      const std::string job = cluster.Submit(TinyJob("lm", 20));
      cluster.RunToStep(job, 7);
      ASSERT_TRUE((cancel ? cluster->Cancel("stop", job) : cluster->Pause("stop", job)).ok());
      const auto record = [&]() -> const JobRecord& { return cluster->state().jobs(0); };
      std::mt19937 random(1);
      while (record().stopped_size() == 0 || CommittedStep(record()) < 0) {
        ASSERT_TRUE(cluster.Move(&random));
      }
      ASSERT_EQ(record().stopped_size(), 1);
      const int other = 1 - record().stopped(0).stage();
      const std::string worker = record().plan().stages(other).worker();

      if (failure) cluster.SendFrom(worker, FailureIn(cluster, job, "disk full"));
      if (!failure) cluster.Kill(worker);

      EXPECT_EQ(cluster.StateOf(job), failure ? FAILED : cancel ? CANCELLED : PAUSED);
      EXPECT_FALSE(cluster.View(job).cut_short());
    }
  }
}

TEST_F(CoreWorkersTest, ADoneJobIsNotCutShortEvenIfAStageDiesAtItsEnd) {
  cluster_.AttachAll(2);
  const std::string job = cluster_.Submit(TinyJob("lm", 8));
  std::mt19937 random(1);
  while (CommittedStep(cluster_->state().jobs(0)) < 8) ASSERT_TRUE(cluster_.Move(&random));
  ASSERT_EQ(cluster_.StateOf(job), RUNNING) << "not every stage has said that it stopped";

  cluster_.Kill("w1");

  EXPECT_EQ(cluster_.StateOf(job), DONE);
  EXPECT_FALSE(cluster_.View(job).cut_short());
}

TEST_F(CoreWorkersTest, AJobThatWasCutShortStaysSoWhenItIsCancelledAfterwards) {
  for (const bool failure : {false, true}) {
    FakeCluster cluster;
    cluster.AttachAll(2);
    const std::string job = cluster.Submit(TinyJob("lm", 20));
    cluster.RunToStep(job, 7);
    if (failure) cluster.SendFrom("w2", FailureIn(cluster, job, "disk full"));
    if (!failure) cluster.Kill("w2");
    ASSERT_EQ(cluster.StateOf(job), failure ? FAILED : PAUSED);
    const std::string reason = cluster.View(job).reason();

    ASSERT_TRUE(cluster->Cancel("stop", job).ok());

    EXPECT_EQ(cluster.StateOf(job), CANCELLED);
    EXPECT_TRUE(cluster.View(job).cut_short());
    EXPECT_EQ(cluster.View(job).reason(), "cancelled; " + reason);
  }
}

TEST_F(CoreWorkersTest, TakesASilentWorkerForLostAfterItsLease) {
  cluster_.AttachAll(2);
  const std::string job = cluster_.Submit(TinyJob("lm", 1000));
  cluster_.RunToStep(job, 3);

  cluster_.clock().Advance(7);
  cluster_->Tick();
  EXPECT_EQ(cluster_.StateOf(job), RUNNING);
  cluster_.clock().Advance(1.5);
  cluster_->Tick();

  EXPECT_EQ(cluster_.StateOf(job), PAUSED);
  EXPECT_NE(cluster_.View(job).reason().find("worker w1 was lost (silent for 8.5 s)"),
            std::string::npos);
  EXPECT_FALSE(cluster_.IsAttached("w1"));
  EXPECT_FALSE(cluster_->Nodes()[0].alive());
}

TEST_F(CoreWorkersTest, FailsAJobWhoseStepIsNotFiniteAndSaysWhere) {
  cluster_.AttachAll(2);
  const std::string job = cluster_.Submit(TinyJob("lm", 1000));
  cluster_.RunToStep(job, 3);
  WorkerMessage message;
  StageFailure* failure = message.mutable_failure();
  failure->set_job(job);
  failure->set_epoch(cluster_.View(job).epoch());
  failure->set_step(4);
  failure->set_non_finite(true);
  failure->set_reason("the gradient of blocks.2 is not finite");

  cluster_.SendFrom("w2", message);
  cluster_.Settle();

  EXPECT_EQ(cluster_.StateOf(job), FAILED);
  EXPECT_EQ(cluster_.View(job).reason(),
            "step 4 was not applied: the gradient of blocks.2 is not finite; no checkpoint yet");
  EXPECT_TRUE(Resume(job).ok()) << "a failed job can be resumed";
}

TEST_F(CoreWorkersTest, PausesWhenTheEdgeBetweenTwoWorkersBreaks) {
  cluster_.AttachAll(2);
  const std::string job = cluster_.Submit(TinyJob("lm", 1000));
  cluster_.RunToStep(job, 3);
  WorkerMessage message;
  message.mutable_failure()->set_job(job);
  message.mutable_failure()->set_epoch(cluster_.View(job).epoch());
  message.mutable_failure()->set_lost_worker("w1");
  message.mutable_failure()->set_reason("no frame for 5 s");

  cluster_.SendFrom("w2", message);
  EXPECT_EQ(cluster_.StateOf(job), RUNNING) << "w1 may yet say why";
  cluster_.clock().Advance(2);
  cluster_->Tick();

  EXPECT_EQ(cluster_.StateOf(job), PAUSED);
  EXPECT_EQ(cluster_.View(job).reason(),
            "worker w1 was lost (stage 1 (worker w2): no frame for 5 s); no checkpoint yet");
}

TEST_F(CoreWorkersTest, ReportsTheCauseOfABrokenEdgeEvenIfTheEdgeIsReportedFirst) {
  cluster_.AttachAll(2);
  const std::string job = cluster_.Submit(TinyJob("lm", 1000));
  cluster_.RunToStep(job, 3);
  WorkerMessage edge, cause;
  edge.mutable_failure()->set_job(job);
  edge.mutable_failure()->set_epoch(cluster_.View(job).epoch());
  edge.mutable_failure()->set_lost_worker("w1");
  cause = edge;
  cause.mutable_failure()->clear_lost_worker();
  cause.mutable_failure()->set_non_finite(true);
  cause.mutable_failure()->set_step(4);
  cause.mutable_failure()->set_reason("the gradient of blocks.0 is not finite");

  cluster_.SendFrom("w2", edge);
  cluster_.SendFrom("w1", cause);

  EXPECT_EQ(cluster_.StateOf(job), FAILED);
  EXPECT_NE(cluster_.View(job).reason().find("blocks.0 is not finite"), std::string::npos);
}

// While a job starts, one stage may suspect a neighbour and another find the checkpoint damaged:
// the job starts anew, and what was suspected of the run before must not hide a broken edge of this
// one.
TEST_F(CoreWorkersTest, ASuspicionOfTheRunBeforeHidesNothingOfThisOne) {
  cluster_.AttachAll(2);
  JobSpec spec = TinyJob("lm", 1000);
  spec.mutable_checkpoint()->set_every_steps(2);
  const std::string job = cluster_.Submit(spec);
  cluster_.RunToStep(job, 5);
  ASSERT_TRUE(Pause(job).ok());
  cluster_.Settle();
  ASSERT_TRUE(Resume(job).ok());
  const auto send = [&](const std::string& from, bool damaged) {
    WorkerMessage message;
    message.mutable_failure()->set_job(job);
    message.mutable_failure()->set_epoch(cluster_.View(job).epoch());
    if (damaged) message.mutable_failure()->set_restore_unreadable(true);
    if (!damaged) message.mutable_failure()->set_lost_worker("w1");
    cluster_.SendFrom(from, message);
  };
  const uint64_t before = cluster_.View(job).epoch();
  send("w2", /*damaged=*/false);
  send("w1", /*damaged=*/true);
  ASSERT_GT(cluster_.View(job).epoch(), before);
  cluster_.RunToStep(job, cluster_.View(job).step() + 1);
  ASSERT_EQ(cluster_.StateOf(job), RUNNING);

  send("w2", /*damaged=*/false);
  cluster_.clock().Advance(2);
  cluster_->Tick();

  EXPECT_EQ(cluster_.StateOf(job), PAUSED);
}

TEST_F(CoreWorkersTest, RefusesAWorkerOfAnotherCluster) {
  Hello hello = HelloOf("w9");
  hello.set_cluster_id("elsewhere");

  const absl::Status refused = cluster_->Join(99, hello);

  EXPECT_EQ(refused.message(),
            "worker w9 has the store of cluster elsewhere; this is cluster cluster: give the "
            "worker another --state");
}

TEST_F(CoreWorkersTest, RefusesAWorkerOfAnotherBuild) {
  Hello other_kernels = HelloOf("w9"), other_version = HelloOf("w9");
  other_kernels.set_kernel_version(kKernelVersion + 1);
  other_version.set_version("0.0.9");

  EXPECT_EQ(
      cluster_->Join(99, other_kernels).message(),
      "worker w9 computes kernel version 3 and this coordinator plans for version 2: its sums "
      "would be others; start worker and coordinator of the same build");
  EXPECT_EQ(cluster_->Join(99, other_version).message(),
            "worker w9 is of version '0.0.9' and this coordinator of version '0.1.0': start worker "
            "and coordinator of the same build");
  EXPECT_TRUE(cluster_->Nodes().empty()) << "refused events leave no trace";
}

TEST_F(CoreWorkersTest, RefusesAWorkerThatKnowsOfEpochsThatItHasForgotten) {
  Hello hello = HelloOf("w9");
  hello.set_newest_epoch(40);

  const absl::Status refused = cluster_->Join(99, hello);

  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(refused.message(),
            "worker w9 has worked in epoch 40 and this coordinator knows epochs up to 1: its state "
            "folder is an older copy; start the coordinator on the newest one");
}

TEST_F(CoreWorkersTest, PausesAJobThatLosesAHolderBeforeItHasRestored) {
  JobSpec spec = TinyJob("lm", 20);
  spec.mutable_checkpoint()->set_every_steps(4);
  cluster_.AttachAll(3);
  const std::string job = cluster_.Submit(spec);
  cluster_.RunToStep(job, 7);
  cluster_.Kill("w3");
  cluster_.Settle();
  cluster_.Attach("w3", /*serves_only=*/true);
  ASSERT_TRUE(Resume(job).ok());
  ASSERT_EQ(cluster_.StateOf(job), STARTING);

  cluster_.Kill("w3");

  EXPECT_EQ(cluster_.StateOf(job), PAUSED);
  EXPECT_EQ(cluster_.View(job).reason(),
            "worker w3 was lost (its connection closed) while shards were restored from it; last "
            "committed step 4");
}

TEST_F(CoreWorkersTest, PausesAJobWhoseHolderCannotBeReached) {
  JobSpec spec = TinyJob("lm", 20);
  spec.mutable_checkpoint()->set_every_steps(4);
  cluster_.AttachAll(3);
  const std::string job = cluster_.Submit(spec);
  cluster_.RunToStep(job, 7);
  cluster_.Kill("w3");
  cluster_.Settle();
  cluster_.Attach("w3", /*serves_only=*/true);
  ASSERT_TRUE(Resume(job).ok());
  StageFailure failure = FailureOf(job, "ReadShard: connection refused");
  failure.set_lost_worker("w3");

  SendFrom("w2", failure);
  cluster_.clock().Advance(2);
  cluster_->Tick();

  EXPECT_EQ(cluster_.StateOf(job), PAUSED);
  EXPECT_EQ(cluster_.View(job).reason(),
            "worker w3 was lost (stage 1 (worker w2): ReadShard: connection refused); last "
            "committed step 4");
}

TEST_F(CoreWorkersTest, FailsAJobThatCannotWriteItsCheckpointAndKeepsTheOneBefore) {
  JobSpec spec = TinyJob("lm", 1000);
  spec.mutable_checkpoint()->set_every_steps(4);
  cluster_.AttachAll(2);
  const std::string job = cluster_.Submit(spec);
  cluster_.RunToStep(job, 7);

  SendFrom("w2", FailureOf(job, "/state: disk full"));
  cluster_.Settle();

  EXPECT_EQ(cluster_.StateOf(job), FAILED);
  EXPECT_EQ(cluster_.View(job).reason(),
            "stage 1 (worker w2): /state: disk full; last committed step 4");
  ASSERT_TRUE(Resume(job).ok());
  cluster_.Settle();
  EXPECT_EQ(cluster_.StateOf(job), DONE);
}

TEST_F(CoreWorkersTest, FailsAJobWhoseWorkerReportsWhatCannotBe) {
  const auto report_of = [](const std::string& job, uint64_t epoch, int64_t step) {
    WorkerMessage message;
    message.mutable_step()->set_job(job);
    message.mutable_step()->set_epoch(epoch);
    message.mutable_step()->set_step(step);
    for (int unit = 0; unit < 6; ++unit) {
      message.mutable_step()->add_unit_digests(std::string(TrainedUnit(unit, step).AsBytes()));
    }
    return message;
  };
  for (int64_t step : {int64_t{-1}, int64_t{0}, int64_t{3}, INT64_MAX, INT64_MIN}) {
    FakeCluster cluster;
    cluster.AttachAll(1);
    const std::string job = cluster.Submit(TinyJob("lm", 1000));
    cluster.RunToStep(job, 3);

    cluster.SendFrom("w1", report_of(job, cluster.View(job).epoch(), step));

    EXPECT_EQ(cluster.StateOf(job), FAILED) << step;
    EXPECT_NE(cluster.View(job).reason().find("reported step " + std::to_string(step)),
              std::string::npos)
        << cluster.View(job).reason();
  }
}

}  // namespace
}  // namespace carousel
