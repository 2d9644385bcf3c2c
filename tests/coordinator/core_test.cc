#include "coordinator/core.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "cluster/keys.h"
#include "tests/coordinator/fake_cluster.h"

namespace carousel {
namespace {

class CoreTest : public testing::Test {
 protected:
  absl::Status Pause(const std::string& job) { return cluster_->Pause(cluster_.NewRequest(), job); }
  absl::Status Cancel(const std::string& job) {
    return cluster_->Cancel(cluster_.NewRequest(), job);
  }
  absl::Status Resume(const std::string& job, int stages = 0) {
    PipelineSpec wishes;
    wishes.set_stages(stages);
    return cluster_->Resume(cluster_.NewRequest(), job, wishes);
  }
  void ExpectDone(const std::string& job, const JobSpec& spec) {
    const Job view = cluster_.View(job);
    EXPECT_EQ(view.state(), DONE) << view.reason();
    EXPECT_EQ(view.step(), spec.steps());
    EXPECT_EQ(view.committed_step(), spec.steps());
    EXPECT_EQ(view.state_digest(), TrainedState(spec, spec.steps()));
    EXPECT_EQ(view.tokens(), 100 * spec.steps()) << "every step counted once";
    EXPECT_DOUBLE_EQ(view.loss(), 10.0 / spec.steps());
  }

  FakeCluster cluster_;
};

TEST_F(CoreTest, TakesAJobFromTheQueueToDone) {
  const JobSpec spec = TinyJob("lm", 5);
  const std::string job = cluster_.Submit(spec);
  EXPECT_EQ(job, "lm-1");
  EXPECT_EQ(cluster_.StateOf(job), QUEUED);
  EXPECT_EQ(cluster_.View(job).reason(), "waits for workers: needs 1, free are 0");

  cluster_.AttachAll(3);
  cluster_.Settle();

  ExpectDone(job, spec);
}

TEST_F(CoreTest, SpreadsAJobOverTheWorkersThatAreFree) {
  cluster_.AttachAll(3);
  const std::string job = cluster_.Submit(TinyJob("lm", 100));

  cluster_.RunToStep(job, 2);

  const Job view = cluster_.View(job);
  EXPECT_EQ(view.state(), RUNNING);
  EXPECT_EQ(view.stages_size(), 3);
  EXPECT_EQ(view.schedule(), ONE_F_ONE_B);
  EXPECT_DOUBLE_EQ(view.measured_bubble_ratio(), 0.25);
  EXPECT_DOUBLE_EQ(view.tokens_per_second(), 100);
  EXPECT_EQ(view.state_digest(), TrainedState(view.spec(), view.step()));
}

TEST_F(CoreTest, StopsAPausedJobAtACommittedStepAndResumesThere) {
  const JobSpec spec = TinyJob("lm", 20);
  cluster_.AttachAll(2);
  const std::string job = cluster_.Submit(spec);
  cluster_.RunToStep(job, 5);

  ASSERT_TRUE(Pause(job).ok());
  cluster_.Settle();

  const Job paused = cluster_.View(job);
  EXPECT_EQ(paused.state(), PAUSED);
  EXPECT_GE(paused.step(), 5);
  EXPECT_LT(paused.step(), 20);
  EXPECT_EQ(paused.committed_step(), paused.step());
  EXPECT_EQ(paused.reason(), "paused at step " + std::to_string(paused.step()));

  ASSERT_TRUE(Resume(job).ok());
  cluster_.Settle();
  ExpectDone(job, spec);
}

TEST_F(CoreTest, ResumesOnAnotherNumberOfWorkers) {
  const JobSpec spec = TinyJob("lm", 20);
  cluster_.AttachAll(3);
  const std::string job = cluster_.Submit(spec);
  cluster_.RunToStep(job, 5);
  ASSERT_TRUE(Cancel(job).ok());
  cluster_.Settle();
  ASSERT_EQ(cluster_.StateOf(job), CANCELLED);

  ASSERT_TRUE(Resume(job, 2).ok());
  cluster_.RunToStep(job, 10);
  EXPECT_EQ(cluster_.View(job).stages_size(), 2);
  cluster_.Settle();

  ExpectDone(job, spec);
}

TEST_F(CoreTest, PausesAJobThatLostAWorkerAndNamesIt) {
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
  EXPECT_EQ(view.reason(), "worker w2 was lost (its connection closed); last committed step " +
                               committed + "; `carousel resume lm-1` continues");
  EXPECT_EQ(std::to_string(view.step()), committed) << "what ran after it is not there any more";
}

TEST_F(CoreTest, RefusesAResumeWhoseShardsAreOutOfReach) {
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

TEST_F(CoreTest, TakesASilentWorkerForLostAfterItsLease) {
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

TEST_F(CoreTest, AsksForACheckpointWhenItsTimeHasCome) {
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

TEST_F(CoreTest, ComesBackWithItsJobsPausedAndNothingLost) {
  JobSpec spec = TinyJob("lm", 20);
  spec.mutable_checkpoint()->set_every_steps(4);
  cluster_.AttachAll(2);
  const std::string job = cluster_.Submit(spec);
  cluster_.RunToStep(job, 9);
  const int64_t committed = cluster_.View(job).committed_step();

  cluster_.RestartCoordinator();

  const Job view = cluster_.View(job);
  EXPECT_EQ(view.state(), PAUSED);
  EXPECT_EQ(view.committed_step(), committed);
  EXPECT_EQ(view.state_digest(), TrainedState(spec, committed));
  EXPECT_EQ(view.reason(), "the coordinator was restarted; last committed step " +
                               std::to_string(committed) + "; `carousel resume lm-1` continues");

  cluster_.AttachAll(2);
  ASSERT_TRUE(Resume(job).ok());
  cluster_.Settle();
  ExpectDone(job, spec);
}

TEST_F(CoreTest, FailsAJobWhoseStepIsNotFiniteAndSaysWhere) {
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

TEST_F(CoreTest, PausesWhenTheEdgeBetweenTwoWorkersBreaks) {
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
            "worker w1 was lost (stage 1 (worker w2): no frame for 5 s); no checkpoint yet; "
            "`carousel resume lm-1` continues");
}

TEST_F(CoreTest, ReportsTheCauseOfABrokenEdgeEvenIfTheEdgeIsReportedFirst) {
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

TEST_F(CoreTest, RefusesACheckpointThatIsNotWhatRan) {
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

TEST_F(CoreTest, GoesBackOneCheckpointIfTheNewestIsDamaged) {
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

// A disk that is full from some moment on.
class FullStore : public Store {
 public:
  explicit FullStore(Store* store) : store_(store) {}
  void Fill() { full_ = true; }

  std::string Name() const override { return "full"; }
  absl::StatusOr<std::string> Get(std::string_view key) const override { return store_->Get(key); }
  absl::Status Commit(const StoreBatch& batch) override {
    return full_ ? absl::ResourceExhaustedError("no space left on device") : store_->Commit(batch);
  }
  absl::Status Scan(
      std::string_view prefix,
      const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    return store_->Scan(prefix, visit);
  }
  absl::StatusOr<std::unique_ptr<Ingest>> NewIngest(uint64_t bytes) override {
    return store_->NewIngest(bytes);
  }
  absl::Status RemovePrefix(std::string_view prefix) override {
    return store_->RemovePrefix(prefix);
  }

 private:
  Store* const store_;
  bool full_ = false;
};

TEST(CoreWithoutDisk, StopsRatherThanForget) {
  struct Nobody : Outbox {
    void Send(uint64_t, CoordinatorMessage) override {}
    void Close(uint64_t, std::string_view) override {}
  } nobody;
  const std::unique_ptr<Store> memory = NewMemoryStore();
  FullStore store(memory.get());
  CoreOptions options;
  options.store = &store;
  options.outbox = &nobody;
  auto core = CoordinatorCore::Open(options);
  ASSERT_TRUE(core.ok());

  store.Fill();
  const auto refused = (*core)->Submit("request", TinyJob("lm", 5), "contract");

  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ((*core)->state().jobs_size(), 0) << "nothing half-done";
  EXPECT_EQ((*core)->broken().message(),
            "the journal cannot be written: no space left on device; nothing is lost: repair the "
            "store, start again");
}

TEST_F(CoreTest, AnswersARepeatedRequestWithoutRepeatingIt) {
  const JobSpec spec = TinyJob("lm", 5);

  const auto first = cluster_->Submit("same", spec, "contract");
  const auto again = cluster_->Submit("same", spec, "contract");

  EXPECT_EQ(*first, *again);
  EXPECT_EQ(cluster_->state().jobs_size(), 1);
  EXPECT_EQ(cluster_->Pause("same", *first).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(cluster_->Pause("", *first).code(), absl::StatusCode::kInvalidArgument);

  cluster_.RestartCoordinator();
  EXPECT_EQ(*cluster_->Submit("same", spec, "contract"), *first) << "also after a restart";
}

TEST_F(CoreTest, KeepsTheOrderOfTheQueue) {
  JobSpec wide = TinyJob("wide", 3);
  wide.mutable_pipeline()->set_stages(2);
  const std::string first = cluster_.Submit(wide);
  const std::string second = cluster_.Submit(TinyJob("narrow", 3));

  cluster_.AttachAll(1);
  cluster_.Settle();
  EXPECT_EQ(cluster_.StateOf(first), QUEUED);
  EXPECT_EQ(cluster_.View(first).reason(), "waits for workers: needs 2, free are 1");
  EXPECT_EQ(cluster_.View(second).reason(), "waits behind job wide-1");

  cluster_.AttachAll(2);
  cluster_.Settle();
  EXPECT_EQ(cluster_.StateOf(first), DONE);
  EXPECT_EQ(cluster_.StateOf(second), DONE);
}

TEST_F(CoreTest, RefusesAWorkerOfAnotherCluster) {
  Hello hello;
  hello.set_worker("w9");
  hello.set_address("w9:1");
  hello.set_cluster_id("elsewhere");

  const absl::Status refused = cluster_->Join(99, hello);

  EXPECT_EQ(refused.message(),
            "worker w9 has the store of cluster elsewhere; this is cluster cluster: give the "
            "worker another --state");
}

TEST_F(CoreTest, SaysWhatAStateForbids) {
  cluster_.AttachAll(1);
  const std::string job = cluster_.Submit(TinyJob("lm", 2));
  EXPECT_EQ(Resume(job).message(), "job lm-1 is STARTING: it need not be resumed");
  cluster_.Settle();

  EXPECT_EQ(Pause(job).message(), "job lm-1 is DONE: there is nothing left to pause");
  EXPECT_EQ(Cancel(job).message(), "job lm-1 is DONE: there is nothing left to cancel");
  EXPECT_EQ(Resume(job).message(), "job lm-1 is DONE: all its steps are done");
  EXPECT_EQ(Pause("nobody").message(), "there is no job 'nobody'; `carousel get jobs` lists them");
}

}  // namespace
}  // namespace carousel
