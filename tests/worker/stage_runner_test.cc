// Two workers of one process train a small job over gRPC, without a coordinator: what each would
// tell it.

#include "worker/stage_runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "cluster/store.h"
#include "coordinator/planner.h"
#include "tests/worker/edge_pair.h"
#include "tests/worker/small_job.h"
#include "worker/local_trainer.h"

namespace carousel {
namespace {

using ::testing::HasSubstr;

class TestWorker {
 public:
  ShardStore& shards() { return shards_; }
  const std::string& address() const { return served_.address(); }

  absl::Status Install(const carousel::Install& install) {
    const RunnerEnvironment environment = {
        .backend = backend_.get(),
        .shards = &shards_,
        .transports = &served_.transports(),
        .send = [this](const WorkerMessage& message) { Note(message); }};
    absl::StatusOr<std::unique_ptr<StageRunner>> runner =
        StageRunner::Install(environment, install);
    if (!runner.ok()) return runner.status();
    runner_ = *std::move(runner);
    return absl::OkStatus();
  }
  StageRunner& runner() { return *runner_; }
  void Kill() {
    runner_->Abandon("killed");
    runner_.reset();
  }

  // The last message of a runner: Stopped or StageFailure.
  WorkerMessage WaitForEnd() {
    EXPECT_TRUE(ended_.Wait().ok());
    MutexLock lock(&mutex_);
    return told_.back();
  }
  std::vector<WorkerMessage> told() {
    MutexLock lock(&mutex_);
    return told_;
  }

 private:
  void Note(const WorkerMessage& message) {
    MutexLock lock(&mutex_);
    told_.push_back(message);
    if (message.has_stopped() || message.has_failure()) ended_.Complete();
  }

  std::unique_ptr<kernels::Backend> backend_ = *kernels::NewBackend("cpu", 1);
  std::unique_ptr<Store> store_ = NewMemoryStore();
  ShardStore shards_{store_.get()};
  ServedWorker served_{&shards_};
  Mutex mutex_;
  std::vector<WorkerMessage> told_ ABSL_GUARDED_BY(mutex_);
  kernels::Event ended_ = kernels::Event::Pending();
  std::unique_ptr<StageRunner> runner_;
};

class StageRunnerTest : public ::testing::Test {
 protected:
  Plan PlanOf(const JobSpec& job, uint64_t epoch) {
    PlanRequest request;
    request.job = "small";
    request.epoch = epoch;
    request.spec = job;
    request.spec.mutable_pipeline()->set_stages(2);
    request.costs.resize(LayOut(job.model()).units.size());
    for (UnitCost& cost : request.costs) {
      cost.set_forward(1);
      cost.set_backward(1);
      cost.set_weight_gradient(1);
    }
    for (TestWorker& worker : workers_)
      request.workers.push_back({absl::StrCat("w", request.workers.size()), worker.address()});
    return *MakePlan(request);
  }

  void InstallAll(const JobSpec& job, uint64_t epoch) {
    Install install;
    *install.mutable_plan() = PlanOf(job, epoch);
    *install.mutable_spec() = job;
    for (int stage = 0; stage < 2; ++stage) {
      install.set_stage(stage);
      const absl::Status installed = workers_[stage].Install(install);
      ASSERT_TRUE(installed.ok()) << installed;
    }
  }
  void StartAll() {
    for (TestWorker& worker : workers_) worker.runner().Start();
  }

  TestWorker workers_[2];
};

// Digests of all units by step, as both stages reported them.
std::map<int64_t, std::vector<std::string>> DigestsTold(TestWorker (&workers)[2]) {
  std::map<int64_t, std::vector<std::string>> digests;
  for (TestWorker& worker : workers) {
    for (const WorkerMessage& message : worker.told()) {
      if (!message.has_step()) continue;
      for (const std::string& digest : message.step().unit_digests())
        digests[message.step().step()].push_back(digest);
    }
  }
  return digests;
}

TEST_F(StageRunnerTest, TwoStagesTrainToTheEndCheckpointAndStop) {
  const JobSpec job = SmallJob();
  InstallAll(job, /*epoch=*/1);

  StartAll();
  for (TestWorker& worker : workers_) {
    const WorkerMessage last = worker.WaitForEnd();
    ASSERT_TRUE(last.has_stopped()) << last.ShortDebugString();
    EXPECT_EQ(last.stopped().step(), 3);
  }

  const auto digests = DigestsTold(workers_);
  ASSERT_EQ(digests.size(), 3u);
  for (int unit = 0; unit < 4; ++unit) {
    TestWorker& holder = workers_[unit < PlanOf(job, 1).stages(0).end_unit() ? 0 : 1];
    auto shard = holder.shards().OpenShard({"small", 3, static_cast<uint32_t>(unit)});
    ASSERT_TRUE(shard.ok()) << shard.status();
    EXPECT_EQ((*shard)->record().digest(), digests.at(3)[unit]);
  }
}

TEST_F(StageRunnerTest, EveryStepHasTheBitsOfTheReferenceTrainer) {
  const JobSpec job = SmallJob();
  const auto backend = *kernels::NewBackend("cpu", 1);
  auto reference = *LocalTrainer::Create(job, backend.get());
  InstallAll(job, 1);

  StartAll();
  for (TestWorker& worker : workers_) ASSERT_TRUE(worker.WaitForEnd().has_stopped());

  for (const auto& [step, told] : DigestsTold(workers_)) {
    ASSERT_TRUE(reference->Step().ok());
    std::vector<Digest> units;
    for (const std::string& digest : told) units.push_back(*DigestFromBytes(digest, "unit"));
    EXPECT_EQ(StateDigest(units, step, step * job.data().batch_size()).Hex(),
              reference->StateDigest()->Hex());
  }
}

TEST_F(StageRunnerTest, AStepThatIsNotFiniteIsRefusedByEveryStageForTheSameReason) {
  JobSpec job = SmallJob({{"", "learning_rate.shape", "constant"}});
  job.mutable_learning_rate()->set_warmup_steps(0);
  job.mutable_learning_rate()->set_peak(1e30);  // more than a job file may say
  InstallAll(job, 1);

  StartAll();
  std::vector<StageFailure> failures;
  for (TestWorker& worker : workers_) {
    const WorkerMessage last = worker.WaitForEnd();
    ASSERT_TRUE(last.has_failure()) << last.ShortDebugString();
    failures.push_back(last.failure());
  }

  for (const StageFailure& failure : failures) {
    EXPECT_TRUE(failure.non_finite()) << failure.ShortDebugString();
    EXPECT_EQ(failure.lost_worker(), "");
    EXPECT_EQ(failure.reason(), failures[0].reason());
    EXPECT_EQ(failure.step(), 2) << "the step that was not applied, counted as people do";
    EXPECT_THAT(failure.reason(), HasSubstr("unit"));
  }
  EXPECT_EQ(DigestsTold(workers_).size(), 1u) << "of the step that was applied";
}

TEST_F(StageRunnerTest, AStageWhoseNeighbourIsGoneNamesItsWorker) {
  InstallAll(SmallJob({{"", "steps", "100000"}}), 1);
  StartAll();

  workers_[1].Kill();
  const WorkerMessage last = workers_[0].WaitForEnd();

  ASSERT_TRUE(last.has_failure()) << last.ShortDebugString();
  EXPECT_EQ(last.failure().lost_worker(), "w1");
  EXPECT_FALSE(last.failure().non_finite());
}

TEST_F(StageRunnerTest, AnAbandonedStageSaysNothingMore) {
  InstallAll(SmallJob({{"", "steps", "100000"}}), 1);
  StartAll();

  for (TestWorker& worker : workers_) worker.runner().Abandon("dropped");
  for (TestWorker& worker : workers_) worker.Kill();

  for (TestWorker& worker : workers_) {
    for (const WorkerMessage& message : worker.told()) EXPECT_TRUE(message.has_step());
  }
}

TEST_F(StageRunnerTest, ABoundaryThatWasAskedForCheckpointsAndStopsBothStagesAtOneStep) {
  InstallAll(SmallJob({{"", "steps", "100000"}}), 1);
  workers_[1].runner().RequestBoundary(/*checkpoint=*/false, /*stop=*/true);

  StartAll();
  for (TestWorker& worker : workers_) {
    const WorkerMessage last = worker.WaitForEnd();
    ASSERT_TRUE(last.has_stopped()) << last.ShortDebugString();
    EXPECT_EQ(last.stopped().step(), 1);
    const std::vector<WorkerMessage> told = worker.told();
    EXPECT_TRUE(told[told.size() - 2].has_prepared()) << "a stop keeps what was done";
  }
}

}  // namespace
}  // namespace carousel
