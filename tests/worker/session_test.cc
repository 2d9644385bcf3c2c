// A worker and its coordinator find each other, or do not.

#include "worker/session.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <thread>

#include "absl/strings/str_cat.h"
#include "cluster/channel.h"
#include "cluster/store.h"
#include "proto/coordinator.grpc.pb.h"
#include "tests/worker/quiet_log.h"
#include "tests/worker/small_job.h"

namespace carousel {
namespace {

using ::testing::HasSubstr;

constexpr auto kPatience = std::chrono::seconds(60);

// A server that hears a worker's hello; the stories say what it answers.
class SessionServer : public WorkerSession::Service {
 public:
  SessionServer() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    AcceptPings(&builder);
    server_ = builder.BuildAndStart();
    address = absl::StrCat("127.0.0.1:", port);
  }
  // Who derives from it stops in its own destructor: a call may be using its members.
  ~SessionServer() override { Stop(); }
  void Stop() { server_->Shutdown(std::chrono::system_clock::now()); }

  std::string address;

 private:
  std::unique_ptr<grpc::Server> server_;
};

using SessionStream = grpc::ServerReaderWriter<CoordinatorMessage, WorkerMessage>;

// Says one thing, or nothing, and then only listens.
class StrangeServer : public SessionServer {
 public:
  explicit StrangeServer(CoordinatorMessage to_say = {}) : to_say_(std::move(to_say)) {}
  ~StrangeServer() override { Stop(); }

  grpc::Status Attach(grpc::ServerContext*, SessionStream* stream) override {
    ++attempts;
    if (to_say_.message_case() != CoordinatorMessage::MESSAGE_NOT_SET) stream->Write(to_say_);
    WorkerMessage message;
    while (stream->Read(&message)) {
    }
    return grpc::Status::OK;
  }

  std::atomic<int> attempts{0};

 private:
  const CoordinatorMessage to_say_;
};

// Welcomes every worker, or refuses it; says one thing to it, and keeps what it says.
class FakeCoordinator : public SessionServer {
 public:
  explicit FakeCoordinator(grpc::Status refusal = grpc::Status::OK)
      : refusal_(std::move(refusal)) {}
  ~FakeCoordinator() override { Stop(); }

  grpc::Status Attach(grpc::ServerContext*, SessionStream* stream) override {
    WorkerMessage message;
    if (!stream->Read(&message)) return grpc::Status::OK;
    Note(message);
    if (!refusal_.ok()) return refusal_;
    CoordinatorMessage welcome;
    welcome.mutable_welcome()->set_cluster_id("c-1");
    welcome.mutable_welcome()->set_lease_seconds(kLeastLeaseSeconds);
    stream->Write(welcome);
    if (to_say.message_case() != CoordinatorMessage::MESSAGE_NOT_SET) stream->Write(to_say);
    while (stream->Read(&message)) Note(message);
    return grpc::Status::OK;
  }

  // Blocks until there are `count` messages of a kind; the last of them.
  WorkerMessage WaitFor(WorkerMessage::MessageCase kind, int count = 1) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    MutexLock lock(&mutex_);
    while (true) {
      int seen = 0;
      for (const WorkerMessage& message : told_) {
        if (message.message_case() == kind && ++seen == count) return message;
      }
      if (!changed_.WaitFor(&mutex_, deadline - std::chrono::steady_clock::now())) break;
    }
    ADD_FAILURE() << "there was no message " << count << " of kind " << kind;
    return WorkerMessage();
  }

  CoordinatorMessage to_say;

 private:
  void Note(const WorkerMessage& message) {
    MutexLock lock(&mutex_);
    told_.push_back(message);
    changed_.NotifyAll();
  }

  const grpc::Status refusal_;
  Mutex mutex_;
  CondVar changed_;
  std::vector<WorkerMessage> told_ ABSL_GUARDED_BY(mutex_);
};

// False if it does not come true.
bool WaitUntil(const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

class SessionTest : public ::testing::Test {
 protected:
  ~SessionTest() override {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }

  void Run(const std::string& address, const absl::Status& on_welcome = absl::OkStatus(),
           double patience = kWelcomePatience) {
    options_ = {.coordinator = address,
                .patience = patience,
                .hello =
                    [] {
                      Hello hello;
                      hello.set_worker("w-1");
                      return hello;
                    },
                .on_welcome = [on_welcome](const Welcome&) { return on_welcome; }};
    thread_ = std::thread([this] {
      ended_.set_value(RunSessions(options_, &host_, log_.get(), [this] { return stop_.load(); }));
    });
  }
  absl::Status End() {
    std::future<absl::Status> ended = ended_.get_future();
    if (ended.wait_for(kPatience) == std::future_status::ready) return ended.get();
    return absl::DeadlineExceededError("the worker goes on");
  }
  // Blocks until the log says it.
  void WaitForLog(const std::string& text) {
    EXPECT_TRUE(WaitUntil([&] { return AllOf(*log_).find(text) != std::string::npos; }))
        << text << ", not:\n"
        << AllOf(*log_);
  }

  std::unique_ptr<kernels::Backend> backend_ = *kernels::NewBackend("cpu", 1);
  std::unique_ptr<Store> store_ = NewMemoryStore();
  ShardStore shards_{store_.get()};
  TransportRegistry transports_;
  std::unique_ptr<Log> log_ = NewQuietLog();
  WorkerHost host_{{.backend = backend_.get(),
                    .shards = &shards_,
                    .transports = &transports_,
                    .log = log_.get()}};
  SessionOptions options_;
  std::atomic<bool> stop_{false};
  std::promise<absl::Status> ended_;
  std::thread thread_;
};

TEST_F(SessionTest, AWorkerSaysHelloAndKeepsItsLease) {
  FakeCoordinator coordinator;
  Run(coordinator.address);

  EXPECT_EQ(coordinator.WaitFor(WorkerMessage::kHello).hello().worker(), "w-1");
  coordinator.WaitFor(WorkerMessage::kHeartbeat, 3);
  stop_ = true;
  EXPECT_TRUE(End().ok());
  EXPECT_THAT(AllOf(*log_), HasSubstr("attached to the coordinator at " + coordinator.address));
}

TEST_F(SessionTest, WhatTheWorkerLogsAboutAJobReachesTheCoordinator) {
  FakeCoordinator coordinator;
  Install& install = *coordinator.to_say.mutable_install();
  install.mutable_plan()->set_job("lm-7");
  install.mutable_plan()->set_epoch(1);  // of kernels of no version
  Run(coordinator.address);

  EXPECT_EQ(coordinator.WaitFor(WorkerMessage::kFailure).failure().job(), "lm-7");
  const WorkerLog log = coordinator.WaitFor(WorkerMessage::kLog).log();
  EXPECT_EQ(log.job(), "lm-7");
  EXPECT_THAT(log.line(), HasSubstr("cannot install stage 0: numerics.kernel_version"));
}

TEST_F(SessionTest, ACoordinatorThatIsNotThereIsComplainedAboutOnce) {
  Run("127.0.0.1:1");

  WaitForLog("cannot attach to the coordinator at 127.0.0.1:1: ");
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));  // two more attempts, or none

  const std::string all = AllOf(*log_);
  EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 1) << all;
  EXPECT_THAT(all, HasSubstr("is --coordinator where it listens?"));
}

TEST_F(SessionTest, ACoordinatorThatGoesAwayIsFoundAgainMissing) {
  FakeCoordinator coordinator;
  Run(coordinator.address);
  coordinator.WaitFor(WorkerMessage::kHeartbeat);

  coordinator.Stop();

  WaitForLog("lost the coordinator at " + coordinator.address);
  WaitForLog("cannot attach to the coordinator at " + coordinator.address);
}

TEST_F(SessionTest, ARefusalForGoodEndsTheWorkerWithItsReason) {
  FakeCoordinator coordinator(
      grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "the store of cluster c-2"));
  Run(coordinator.address);

  EXPECT_EQ(End(), absl::FailedPreconditionError("the store of cluster c-2"));
}

TEST_F(SessionTest, AWelcomeThatTheWorkerCannotTakeEndsIt) {
  FakeCoordinator coordinator;
  Run(coordinator.address, absl::FailedPreconditionError("my store is of cluster c-2"));

  EXPECT_EQ(End(), absl::FailedPreconditionError("my store is of cluster c-2"));
}

TEST_F(SessionTest, ACoordinatorThatNeverAnswersIsAskedAgain) {
  StrangeServer mute;
  Run(mute.address, absl::OkStatus(), /*patience=*/0.2);

  WaitForLog("cannot attach to the coordinator at " + mute.address +
             ": it does not answer within 0.2 s");
  EXPECT_TRUE(WaitUntil([&] { return mute.attempts >= 2; })) << mute.attempts;
  stop_ = true;
  EXPECT_TRUE(End().ok());
}

// A stream that stays open would hold the worker for ever.
TEST_F(SessionTest, AnAnswerThatIsNoWelcomeEndsTheAttempt) {
  CoordinatorMessage drop;
  drop.mutable_drop()->set_job("lm-7");
  StrangeServer strange(drop);
  Run(strange.address);

  WaitForLog("cannot attach to the coordinator at " + strange.address +
             ": its first message is no welcome");
  stop_ = true;
  EXPECT_TRUE(End().ok());
}

}  // namespace
}  // namespace carousel
