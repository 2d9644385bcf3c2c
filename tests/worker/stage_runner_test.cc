// Two workers of one process train a small job over gRPC, without a coordinator: what each would
// tell it.

#include "worker/stage_runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <map>

#include "cluster/store.h"
#include "tests/worker/edge_pair.h"
#include "tests/worker/quiet_log.h"
#include "tests/worker/small_job.h"
#include "tests/worker/small_plan.h"
#include "worker/local_trainer.h"

namespace carousel {
namespace {

using ::testing::HasSubstr;

constexpr auto kPatience = std::chrono::seconds(60);

// A disk that fills up.
class FailingStore : public Store {
 public:
  std::string Name() const override { return store_->Name(); }
  absl::StatusOr<std::string> Get(std::string_view key) const override { return store_->Get(key); }
  absl::Status Commit(const StoreBatch& batch) override { return store_->Commit(batch); }
  absl::Status Scan(
      std::string_view prefix,
      const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    return store_->Scan(prefix, visit);
  }
  absl::StatusOr<std::unique_ptr<Ingest>> NewIngest(uint64_t expected_bytes) override {
    if (before_write) before_write();
    if (full) return absl::ResourceExhaustedError("the disk is full");
    return store_->NewIngest(expected_bytes);
  }
  absl::Status RemovePrefix(std::string_view prefix) override {
    return store_->RemovePrefix(prefix);
  }

  std::atomic<bool> full{false};
  std::function<void()> before_write;

 private:
  std::unique_ptr<Store> store_ = NewMemoryStore();
};

class TestWorker {
 public:
  explicit TestWorker(const std::string& backend) : backend_(*kernels::NewBackend(backend, 1)) {}

  FailingStore& store() { return store_; }
  ShardStore& shards() { return shards_; }
  const std::string& address() const { return served_.address(); }

  absl::Status Install(const carousel::Install& install) {
    const RunnerEnvironment environment = {
        .backend = backend_.get(),
        .shards = &shards_,
        .transports = &served_.transports(),
        .log = &job_log_,
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

  // Called with every message, on the runner's threads.
  std::function<void(const WorkerMessage&)> listener;

  // How a runner ends: Stopped or StageFailure.
  WorkerMessage WaitForEnd() {
    EXPECT_EQ(ended_.get_future().wait_for(kPatience), std::future_status::ready);
    MutexLock lock(&mutex_);
    return end_;
  }
  std::vector<WorkerMessage> told() {
    MutexLock lock(&mutex_);
    return told_;
  }

 private:
  void Note(const WorkerMessage& message) {
    if (listener) listener(message);
    MutexLock lock(&mutex_);
    told_.push_back(message);
    if (!message.has_stopped() && !message.has_failure()) return;
    EXPECT_EQ(end_.message_case(), WorkerMessage::MESSAGE_NOT_SET) << "it ends once";
    end_ = message;
    ended_.set_value();
  }

  const std::unique_ptr<kernels::Backend> backend_;
  FailingStore store_;
  ShardStore shards_{&store_};
  std::unique_ptr<Log> log_ = NewQuietLog();
  JobLog job_log_{log_.get()};
  ServedWorker served_{&shards_};
  Mutex mutex_;
  std::vector<WorkerMessage> told_ ABSL_GUARDED_BY(mutex_);
  WorkerMessage end_ ABSL_GUARDED_BY(mutex_);
  std::promise<void> ended_;
  std::unique_ptr<StageRunner> runner_;
};

// The same stories on a backend that runs at once and on one that runs late.
class StageRunnerTest : public ::testing::TestWithParam<const char*> {
 protected:
  Plan PlanOf(const JobSpec& job, uint64_t epoch) {
    return SmallPlan(job, {workers_[0].address(), workers_[1].address()}, epoch);
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

  TestWorker workers_[2] = {TestWorker(GetParam()), TestWorker(GetParam())};
};

INSTANTIATE_TEST_SUITE_P(Backends, StageRunnerTest, ::testing::Values("cpu", "test"),
                         [](const auto& info) { return std::string(info.param); });

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

TEST_P(StageRunnerTest, TwoStagesTrainToTheEndCheckpointAndStop) {
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

TEST_P(StageRunnerTest, EveryStepHasTheBitsOfTheReferenceTrainer) {
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

TEST_P(StageRunnerTest, AStepThatIsNotFiniteIsRefusedByEveryStageForTheSameReason) {
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

TEST_P(StageRunnerTest, AStageWhoseNeighbourIsGoneNamesItsWorker) {
  InstallAll(SmallJob({{"", "steps", "100000"}}), 1);
  StartAll();

  workers_[1].Kill();
  const WorkerMessage last = workers_[0].WaitForEnd();

  ASSERT_TRUE(last.has_failure()) << last.ShortDebugString();
  EXPECT_EQ(last.failure().lost_worker(), "w1");
  EXPECT_FALSE(last.failure().non_finite());
}

TEST_P(StageRunnerTest, AnAbandonedStageSaysNothingMore) {
  InstallAll(SmallJob({{"", "steps", "100000"}}), 1);
  StartAll();

  for (TestWorker& worker : workers_) worker.runner().Abandon("dropped");
  for (TestWorker& worker : workers_) worker.Kill();

  for (TestWorker& worker : workers_) {
    for (const WorkerMessage& message : worker.told()) EXPECT_TRUE(message.has_step());
  }
}

TEST_P(StageRunnerTest, ABoundaryThatWasAskedForCheckpointsAndStopsBothStagesAtOneStep) {
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

// Days may pass until the next checkpoint or the end.
TEST_P(StageRunnerTest, ACheckpointThatCannotBeWrittenIsReportedLongBeforeTheNext) {
  InstallAll(SmallJob({{"", "steps", "100000"}}), 1);
  workers_[0].store().full = true;
  workers_[1].runner().RequestBoundary(/*checkpoint=*/true, /*stop=*/false);

  StartAll();
  const WorkerMessage last = workers_[0].WaitForEnd();

  ASSERT_TRUE(last.has_failure()) << last.ShortDebugString();
  EXPECT_THAT(last.failure().reason(),
              HasSubstr("the checkpoint of step 1 cannot be written: the disk is full"));
  EXPECT_EQ(last.failure().lost_worker(), "");
  const WorkerMessage other = workers_[1].WaitForEnd();
  ASSERT_TRUE(other.has_failure()) << "and its neighbour is not left waiting";
  EXPECT_EQ(other.failure().lost_worker(), "w0");
}

// A neighbour that misses it would name the wrong cause, and the coordinator believes it after a
// while.
TEST_P(StageRunnerTest, ASlowStageTellsOfItsFullDiskBeforeItsNeighbourMissesIt) {
  InstallAll(SmallJob({{"", "steps", "100000"}}), 1);
  std::promise<void> busy, told;
  std::future<void> is_busy = busy.get_future(), is_told = told.get_future();
  std::atomic<int> failures{0};
  int first = -1;
  // Given a stage that is busy for long, after its step 2,
  workers_[0].listener = [&](const WorkerMessage& message) {
    if (message.has_failure() && failures++ == 0) first = 0;
    if (message.has_failure()) told.set_value();
    if (message.step().step() != 2) return;
    busy.set_value();
    is_told.wait_for(kPatience / 10);
  };
  workers_[1].listener = [&](const WorkerMessage& message) {
    if (message.has_failure() && failures++ == 0) first = 1;
  };
  // when the checkpoint of step 1 meets a full disk meanwhile,
  workers_[0].store().full = true;
  workers_[0].store().before_write = [&] { is_busy.wait_for(kPatience); };
  workers_[1].runner().RequestBoundary(/*checkpoint=*/true, /*stop=*/false);
  StartAll();

  // then this is what the coordinator hears first.
  const WorkerMessage cause = workers_[0].WaitForEnd(), symptom = workers_[1].WaitForEnd();
  EXPECT_EQ(first, 0);
  EXPECT_THAT(cause.failure().reason(), HasSubstr("the disk is full"));
  EXPECT_EQ(cause.failure().lost_worker(), "");
  EXPECT_EQ(symptom.failure().lost_worker(), "w0");
  for (TestWorker& worker : workers_) worker.Kill();  // they use what this story owns
}

}  // namespace
}  // namespace carousel
