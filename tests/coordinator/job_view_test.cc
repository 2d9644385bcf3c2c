#include "coordinator/job_view.h"

#include <gtest/gtest.h>

#include "tests/coordinator/fake_cluster.h"

namespace carousel {
namespace {

CheckpointRecord CheckpointAt(int64_t step, const std::vector<std::string>& holders) {
  CheckpointRecord checkpoint;
  checkpoint.set_step(step);
  checkpoint.set_state_digest(std::string(16, '\x1f'));
  checkpoint.set_committed_at(1000.0 + static_cast<double>(step));
  checkpoint.mutable_summary()->set_loss(2.5);
  checkpoint.mutable_summary()->set_tokens(100 * step);
  for (size_t unit = 0; unit < holders.size(); ++unit) {
    ShardRef* shard = checkpoint.add_shards();
    shard->set_unit(static_cast<uint32_t>(unit));
    shard->set_holder(holders[unit]);
    shard->set_bytes(10);
  }
  return checkpoint;
}

JobRecord Paused() {
  JobRecord job;
  job.set_job("lm-1");
  job.set_state(PAUSED);
  job.set_reason("paused at step 8");
  *job.mutable_spec() = TinyJob("lm", 20);
  *job.add_checkpoints() = CheckpointAt(4, {"w1", "w1"});
  *job.add_checkpoints() = CheckpointAt(8, {"w1", "w2", "w1"});
  return job;
}

TEST(ViewJob, ShowsAJobAtRestAsItsNewestCheckpointHasIt) {
  const Job view = ViewJob({}, Paused(), nullptr);

  EXPECT_EQ(view.job(), "lm-1");
  EXPECT_EQ(view.state(), PAUSED);
  EXPECT_EQ(view.reason(), "paused at step 8");
  EXPECT_EQ(view.step(), 8);
  EXPECT_EQ(view.steps(), 20);
  EXPECT_EQ(view.committed_step(), 8);
  EXPECT_EQ(view.loss(), 2.5);
  EXPECT_EQ(view.tokens(), 800);
  EXPECT_EQ(view.state_digest(), "1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f");
}

TEST(ViewJob, ShowsNoProgressOfARunThatIsOver) {
  JobRecord job = Paused();
  job.mutable_plan()->add_stages()->set_end_unit(6);
  job.set_restore_step(8);
  const JobProgress progress(job);

  EXPECT_EQ(ViewJob({}, job, &progress).stages_size(), 0);
  job.set_state(RUNNING);
  EXPECT_EQ(ViewJob({}, job, &progress).stages_size(), 1);
}

TEST(ViewJob, SaysWhatAJobInTheQueueWaitsFor) {
  CoordinatorState state;
  JobRecord* job = state.add_jobs();
  *job = Paused();
  job->set_state(QUEUED);

  EXPECT_EQ(ViewJob(state, *job, nullptr).reason(),
            "waits for worker w1 (units 0-2), worker w2 (unit 1), which hold its checkpoint");
  job->clear_checkpoints();
  EXPECT_EQ(ViewJob(state, *job, nullptr).reason(),
            "needs 1 worker and none is attached; start one");
  EXPECT_EQ(ViewJob(state, *job, nullptr).committed_step(), -1);
}

TEST(ViewCheckpoints, ComeNewestFirstWithEachHolderOnce) {
  const ListCheckpointsResponse view = ViewCheckpoints(Paused());

  ASSERT_EQ(view.checkpoints_size(), 2);
  EXPECT_EQ(view.checkpoints(0).step(), 8);
  EXPECT_EQ(view.checkpoints(1).step(), 4);
  EXPECT_EQ(view.checkpoints(0).bytes(), 30);
  EXPECT_EQ(view.checkpoints(0).committed_at(), 1008);
  ASSERT_EQ(view.checkpoints(0).holders_size(), 2);
  EXPECT_EQ(view.checkpoints(0).holders(0), "w1");
  EXPECT_EQ(view.checkpoints(0).holders(1), "w2");
}

}  // namespace
}  // namespace carousel
