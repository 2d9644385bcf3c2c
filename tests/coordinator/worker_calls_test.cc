#include "coordinator/worker_calls.h"

#include <gtest/gtest.h>

#include <string>

#include "cluster/keys.h"
#include "tests/coordinator/core_testing.h"

namespace carousel {
namespace {

class WorkerCallsTest : public CoreTest {
 protected:
  // Checkpoints of steps 4, 8, 12, 16 and 20, on two workers.
  std::string TrainedJob() {
    JobSpec spec = TinyJob("lm", 20);
    spec.mutable_checkpoint()->set_every_steps(4);
    spec.mutable_checkpoint()->set_keep(8);
    cluster_.AttachAll(2);
    const std::string job = cluster_.Submit(spec);
    cluster_.Settle();
    EXPECT_EQ(cluster_.StateOf(job), DONE);
    return job;
  }
  absl::Status Refusal(const std::string& job, int64_t step) {
    return CallOn(*cluster_, job, step).status();
  }
};

TEST_F(WorkerCallsTest, GoToFreeWorkersWithTheCheckpointThatWasAskedFor) {
  const std::string job = TrainedJob();

  const auto newest = CallOn(*cluster_, job, 0), older = CallOn(*cluster_, job, 8);

  ASSERT_TRUE(newest.ok()) << newest.status();
  ASSERT_EQ(newest->candidates.size(), 2u);
  EXPECT_EQ(newest->candidates[0].worker, "w1");
  EXPECT_EQ(newest->candidates[1].worker, "w2");
  EXPECT_EQ(newest->manifest.step(), 20);
  EXPECT_EQ(newest->holders.size(), 2);
  ASSERT_TRUE(older.ok()) << older.status();
  EXPECT_EQ(older->manifest.step(), 8);
}

TEST_F(WorkerCallsTest, NameTheStepsThereAreInPlaceOfOneThatIsNot) {
  const std::string job = TrainedJob();

  EXPECT_EQ(Refusal(job, 5).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Refusal(job, 5).message(),
            "job lm-1 has no checkpoint of step 5; its newest: of steps 20, 16, 12, 8, 4, and "
            "`carousel get checkpoints lm-1` lists all");
}

// A step that is asked for by name is not replaced by an older one: the error says what became of
// it, and what to do.
TEST_F(WorkerCallsTest, SayThatTheCheckpointThatWasNamedIsDamagedOrGone) {
  const std::string job = TrainedJob();
  const std::string remedy =
      "; name another step (`carousel get checkpoints lm-1` lists them), or none for the newest "
      "that verifies";
  const auto change = [&](int64_t step, bool remove) {
    StoreBatch batch;
    if (remove) batch.Remove(ManifestKey(job, step));
    if (!remove) batch.Put(ManifestKey(job, step), std::string(40, 'x'));
    ASSERT_TRUE(cluster_.store().Commit(batch).ok());
  };

  change(8, /*remove=*/false);
  change(12, /*remove=*/true);
  change(4, /*remove=*/true);  // none is left before it

  EXPECT_EQ(Refusal(job, 8).code(), absl::StatusCode::kDataLoss);
  const std::string damaged(Refusal(job, 8).message());
  EXPECT_EQ(damaged.rfind("the checkpoint of step 8 of job lm-1 cannot be read: its manifest does "
                          "not verify (",
                          0),
            0)
      << damaged;
  EXPECT_EQ(damaged.substr(damaged.size() - remedy.size()), remedy);
  for (const int step : {4, 12}) {
    EXPECT_EQ(Refusal(job, step).code(), absl::StatusCode::kDataLoss);
    EXPECT_EQ(Refusal(job, step).message(),
              "the checkpoint of step " + std::to_string(step) +
                  " of job lm-1 cannot be read: its manifest is gone" + remedy);
  }
  EXPECT_TRUE(CallOn(*cluster_, job, 16).ok()) << "the others are as good as before";
}

TEST_F(WorkerCallsTest, SayThatAJobHasNoCheckpointYet) {
  const std::string job = cluster_.Submit(TinyJob("lm", 20));

  EXPECT_EQ(Refusal(job, 0).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Refusal(job, 0).message(), "job lm-1 has no checkpoint yet");
  EXPECT_EQ(Refusal(job, 5).message(), "job lm-1 has no checkpoint yet, also none of step 5");
  EXPECT_EQ(Refusal("nobody", 0).code(), absl::StatusCode::kNotFound);
}

TEST_F(WorkerCallsTest, NameTheHolderThatIsAway) {
  const std::string job = TrainedJob();

  cluster_.Kill("w2");

  EXPECT_EQ(Refusal(job, 0).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(
      Refusal(job, 0).message(),
      "worker w2, whose store holds unit 3 of step 20, is not attached; start it on its state "
      "folder");
}

TEST_F(WorkerCallsTest, TellWorkersThatAreBusyFromThoseThatOnlyServe) {
  const std::string job = TrainedJob();
  const std::string other = cluster_.Submit(TinyJob("other", 1000));
  cluster_.RunToStep(other, 1);
  EXPECT_EQ(Refusal(job, 0).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Refusal(job, 0).message(),
            "all workers that compute are busy (2 of 2); wait, or start one more");

  for (const std::string worker : {"w1", "w2"}) {
    cluster_.Kill(worker);
    cluster_.Attach(worker, /*serves_only=*/true);
  }

  EXPECT_EQ(Refusal(job, 0).message(),
            "no worker that computes is attached; start one without --serve-only");
}

}  // namespace
}  // namespace carousel
