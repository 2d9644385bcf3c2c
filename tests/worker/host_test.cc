// The shell around the core: messages of a coordinator in, what the worker does and answers out.

#include "worker/host.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>

#include "cluster/cursor.h"
#include "cluster/store.h"
#include "tests/worker/edge_pair.h"
#include "tests/worker/quiet_log.h"
#include "tests/worker/silent_holder.h"
#include "tests/worker/small_job.h"
#include "tests/worker/small_plan.h"
#include "worker/job_terms.h"

namespace carousel {
namespace {

using ::testing::HasSubstr;

class HostTest : public ::testing::Test {
 protected:
  HostTest() {
    host_->SetSession([this](const WorkerMessage& message) {
      MutexLock lock(&mutex_);
      told_.push_back(message);
      changed_.NotifyAll();
    });
  }

  // Blocks until the worker has said such a thing.
  WorkerMessage WaitFor(WorkerMessage::MessageCase kind) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    MutexLock lock(&mutex_);
    while (true) {
      for (const WorkerMessage& message : told_) {
        if (message.message_case() == kind) return message;
      }
      if (!changed_.WaitFor(&mutex_, deadline - std::chrono::steady_clock::now())) break;
    }
    ADD_FAILURE() << "there was no message of kind " << kind;
    return WorkerMessage();
  }

  void Handle(const std::function<void(CoordinatorMessage&)>& fill) {
    CoordinatorMessage message;
    fill(message);
    host_->Handle(message);
  }
  void Measure(const JobSpec& job, uint64_t epoch) {
    Handle([&](CoordinatorMessage& message) {
      message.mutable_measure()->set_job("small");
      message.mutable_measure()->set_epoch(epoch);
      *message.mutable_measure()->mutable_spec() = job;
    });
  }
  Install InstallOf(const JobSpec& job, uint64_t epoch) {
    Install install;
    *install.mutable_plan() = SmallPlan(job, {served_.address()}, epoch);
    *install.mutable_spec() = job;
    return install;
  }
  void Send(const Install& install) {
    Handle([&](CoordinatorMessage& message) { *message.mutable_install() = install; });
  }
  void Start(uint64_t epoch) {
    Handle([&](CoordinatorMessage& message) {
      message.mutable_start()->set_job("small");
      message.mutable_start()->set_epoch(epoch);
    });
  }
  void Committed(int64_t step, bool at_rest) {
    Handle([&](CoordinatorMessage& message) {
      message.mutable_committed()->set_job("small");
      message.mutable_committed()->set_step(step);
      message.mutable_committed()->set_at_rest(at_rest);
    });
  }
  bool HasShard(int64_t step) { return shards_.OpenShard({"small", step, 0}).ok(); }

  std::unique_ptr<kernels::Backend> backend_ = *kernels::NewBackend("cpu", 1);
  std::unique_ptr<Store> store_ = NewMemoryStore();
  ShardStore shards_{store_.get()};
  ServedWorker served_{&shards_};
  std::unique_ptr<Log> log_ = NewQuietLog();
  Mutex mutex_;
  CondVar changed_;
  std::vector<WorkerMessage> told_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<WorkerHost> host_ =
      std::make_unique<WorkerHost>(WorkerHost::Parts{.backend = backend_.get(),
                                                     .shards = &shards_,
                                                     .transports = &served_.transports(),
                                                     .log = log_.get()});
};

TEST_F(HostTest, AMeasureIsAnsweredWithTheCostOfEveryUnit) {
  Measure(SmallJob(), 1);

  const WorkerMessage answer = WaitFor(WorkerMessage::kMeasured);

  EXPECT_EQ(answer.measured().job(), "small");
  EXPECT_EQ(answer.measured().units_size(), 4);
}

TEST_F(HostTest, AnInstalledStageRunsToItsEndAndTheLogSaysWhatItWas) {
  Send(InstallOf(SmallJob(), 1));
  EXPECT_EQ(WaitFor(WorkerMessage::kInstalled).installed().epoch(), 1u);
  Start(1);

  EXPECT_EQ(WaitFor(WorkerMessage::kPrepared).prepared().step(), 3);
  EXPECT_EQ(WaitFor(WorkerMessage::kStopped).stopped().step(), 3);
  EXPECT_EQ(host_->Progress().job(), "small");
  const std::vector<WorkerLog> log = host_->TakeLog();
  ASSERT_FALSE(log.empty());
  EXPECT_EQ(log[0].job(), "small");
  EXPECT_EQ(log[0].line(), "installs stage 0 of 1, epoch 1, from the seed");
}

TEST_F(HostTest, KernelsOfAnotherVersionWouldGiveAnotherResult) {
  JobSpec job = SmallJob();
  Install install = InstallOf(job, 2);
  job.mutable_numerics()->set_kernel_version(99);
  *install.mutable_spec() = job;

  Measure(job, 1);
  const StageFailure measuring = WaitFor(WorkerMessage::kFailure).failure();
  {
    MutexLock lock(&mutex_);
    told_.clear();
  }
  Send(install);
  const StageFailure installing = WaitFor(WorkerMessage::kFailure).failure();

  for (const StageFailure& failure : {measuring, installing}) {
    EXPECT_THAT(failure.reason(), HasSubstr("numerics.kernel_version: the job computes with "
                                            "version 99 of the kernels, this worker"));
  }
}

TEST_F(HostTest, ShardsThatNothingWillEverNameGoOnceTheJobIsAtRest) {
  Send(InstallOf(SmallJob(), 1));
  WaitFor(WorkerMessage::kInstalled);
  Start(1);
  WaitFor(WorkerMessage::kStopped);
  ASSERT_TRUE(HasShard(3));

  Committed(/*step=*/-1, /*at_rest=*/false);
  Measure(SmallJob(), 2);  // after the sweep
  WaitFor(WorkerMessage::kMeasured);
  EXPECT_TRUE(HasShard(3)) << "it may be about to be committed";

  Committed(-1, /*at_rest=*/true);
  host_.reset();  // after the sweep
  EXPECT_FALSE(HasShard(3));
}

// The holder of its shards answers pings and nothing else.
TEST_F(HostTest, AnInstallationThatIsDroppedEndsThoughTheHolderIsSilent) {
  SilentHolder holder;
  Install install = InstallOf(SmallJob(), 1);
  Manifest& manifest = *install.mutable_restore();
  manifest.set_job("small");
  manifest.set_step(2);
  const JobSpec job = SmallJob();
  const BatchReader reader = *OpenTrainingData(job);
  *manifest.mutable_cursor() = CursorAt(CursorTermsOf(job, reader), 2);
  ShardRef& ref = *manifest.add_units();
  ref.set_holder("w9");
  ref.set_digest(std::string(16, 'x'));
  Holder& at = *install.add_holders();
  at.set_worker("w9");
  at.set_address(holder.address);
  Send(install);
  holder.was_asked.Wait().IgnoreError();

  Handle([&](CoordinatorMessage& message) {
    message.mutable_drop()->set_job("small");
    message.mutable_drop()->set_epoch(1);
  });
  EXPECT_EQ(host_->Progress().job(), "") << "it says so at once";
  Measure(SmallJob(), 2);

  EXPECT_EQ(WaitFor(WorkerMessage::kMeasured).measured().epoch(), 2u)
      << "and goes on to other work";
}

}  // namespace
}  // namespace carousel
