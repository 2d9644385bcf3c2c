#include "coordinator/facts.h"

#include <gtest/gtest.h>

#include "coordinator/state.h"
#include "tests/coordinator/core_testing.h"

namespace carousel {
namespace {

class FactsTest : public CoreTest {
 protected:
  // A job on two workers, in the middle of its run.
  void SetUp() override {
    cluster_.AttachAll(2);
    JobSpec spec = TinyJob("lm", 100);
    spec.mutable_checkpoint()->set_every_steps(4);
    job_ = cluster_.Submit(spec);
    cluster_.RunToStep(job_, 6);
    epoch_ = cluster_.View(job_).epoch();
  }

  std::optional<Fact> FactFrom(const std::string& worker, const WorkerMessage& message) {
    return FactOf(cluster_->state(), HelloOf(worker), message);
  }

  std::string job_;
  uint64_t epoch_ = 0;
};

TEST_F(FactsTest, FindTheStageOfTheirSender) {
  WorkerMessage message;
  message.mutable_stopped()->set_job(job_);
  message.mutable_stopped()->set_epoch(epoch_);
  message.mutable_stopped()->set_step(6);

  const std::optional<Fact> fact = FactFrom("w2", message);

  ASSERT_TRUE(fact.has_value());
  EXPECT_EQ(fact->job, job_);
  EXPECT_EQ(fact->epoch, epoch_);
  EXPECT_EQ(fact->event.stage_stopped().stage(), 1);
  EXPECT_EQ(fact->event.stage_stopped().step(), 6);
  EXPECT_EQ(FactFrom("stranger", message)->event.stage_stopped().stage(), -1);
}

TEST_F(FactsTest, NameTheHolderOfWhatIsPrepared) {
  WorkerMessage message;
  message.mutable_prepared()->set_job(job_);
  message.mutable_prepared()->set_epoch(epoch_);
  message.mutable_prepared()->set_step(8);
  ShardRecord* shard = message.mutable_prepared()->add_shards();
  shard->set_unit(3);
  shard->set_unit_name("blocks.2");
  shard->set_bytes(77);
  shard->set_digest("0123456789abcdef");

  const StagePrepared event = FactFrom("w2", message)->event.stage_prepared();

  ASSERT_EQ(event.shards_size(), 1);
  EXPECT_EQ(event.shards(0).holder(), "w2");
  EXPECT_EQ(event.shards(0).unit_name(), "blocks.2");
  EXPECT_EQ(event.shards(0).bytes(), 77);
  EXPECT_EQ(event.shards(0).digest(), "0123456789abcdef");
  EXPECT_FALSE(event.has_cursor());
}

TEST_F(FactsTest, CarryAWholeFailure) {
  WorkerMessage message;
  StageFailure* failure = message.mutable_failure();
  failure->set_job(job_);
  failure->set_epoch(epoch_);
  failure->set_step(7);
  failure->set_reason("why");
  failure->set_non_finite(true);
  failure->set_lost_worker("w1");
  failure->set_restore_unreadable(true);  // has no meaning once the job runs

  const StageFailed event = FactFrom("w2", message)->event.stage_failed();

  EXPECT_EQ(event.stage(), 1);
  EXPECT_EQ(event.step(), 7);
  EXPECT_EQ(event.reason(), "why");
  EXPECT_TRUE(event.non_finite());
  EXPECT_EQ(event.lost_worker(), "w1");
}

TEST_F(FactsTest, NameTheWorkerThatCannotMeasure) {
  cluster_.AttachAll(3);
  const std::string measured = cluster_.Submit(TinyJob("other", 100));
  ASSERT_EQ(cluster_.StateOf(measured), STARTING);
  WorkerMessage message;
  message.mutable_failure()->set_job(measured);
  message.mutable_failure()->set_epoch(cluster_.View(measured).epoch());
  message.mutable_failure()->set_reason("out of memory");

  const StageFailed event = FactFrom("w3", message)->event.stage_failed();

  EXPECT_EQ(event.stage(), -1);
  EXPECT_EQ(event.reason(), "worker w3 cannot measure: out of memory");
}

TEST_F(FactsTest, TakeAnUnreadableShardForDamageOfTheCheckpointThatIsRestored) {
  ASSERT_TRUE(Cancel(job_).ok());
  cluster_.Settle();
  const int64_t newest = cluster_.View(job_).committed_step();
  ASSERT_TRUE(Resume(job_).ok());
  WorkerMessage message;
  message.mutable_failure()->set_job(job_);
  message.mutable_failure()->set_epoch(cluster_.View(job_).epoch());
  message.mutable_failure()->set_reason("chunk 4 of blocks.2 is damaged");
  message.mutable_failure()->set_restore_unreadable(true);

  const CheckpointDamaged event = FactFrom("w2", message)->event.checkpoint_damaged();

  EXPECT_EQ(event.job(), job_);
  EXPECT_EQ(event.step(), newest);
  EXPECT_EQ(event.reason(), "worker w2: chunk 4 of blocks.2 is damaged");
}

TEST_F(FactsTest, AreNoneInHelloLogsReportsAndIdleHeartbeats) {
  WorkerMessage hello, log, report, beat;
  hello.mutable_hello();
  log.mutable_log()->set_job(job_);
  report.mutable_step()->set_job(job_);
  beat.mutable_heartbeat();
  for (const WorkerMessage& message : {hello, log, report, beat}) {
    EXPECT_FALSE(FactFrom("w1", message).has_value());
  }
  beat.mutable_heartbeat()->set_job(job_);
  EXPECT_EQ(FactFrom("w1", beat)->event.kind_case(), Event::KIND_NOT_SET) << "a sign of life";
}

}  // namespace
}  // namespace carousel
