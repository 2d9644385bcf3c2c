// Which worker evaluates, over the wire.

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "proto/worker.grpc.pb.h"
#include "tests/coordinator/server_testing.h"

namespace carousel {
namespace {

// What a worker serves of evaluation: a loss, unless it refuses before that, and an outcome.
class EvaluatingWorker : public Worker::Service {
 public:
  explicit EvaluatingWorker(const grpc::Status& outcome, bool refuses = false)
      : outcome_(outcome), refuses_(refuses) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  grpc::Status Evaluate(grpc::ServerContext*, const WorkerEvaluateRequest*,
                        grpc::ServerWriter<EvaluateProgress>* writer) override {
    if (refuses_) return outcome_;
    EvaluateProgress progress;
    progress.set_loss(2.5);
    writer->Write(progress);
    return outcome_;
  }

 private:
  const grpc::Status outcome_;
  const bool refuses_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

class EvaluationTest : public ServerTest {
 protected:
  // Two free workers, asked in the order of their names, and a job that one of them has trained.
  void Start(EvaluatingWorker* first, EvaluatingWorker* second) {
    first_.emplace(server_->address(), "w1", /*ignores_stop=*/false, first->address());
    job_ = Submit(SmallJob(5));
    Watch(job_);
    second_.emplace(server_->address(), "w2", /*ignores_stop=*/false, second->address());
    ListNodesResponse nodes;
    while (nodes.nodes_size() < 2) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      grpc::ClientContext context;
      ASSERT_TRUE(stub_->ListNodes(&context, {}, &nodes).ok());
    }
  }

  // The losses that came before the outcome.
  grpc::Status Evaluate(std::vector<double>* losses) {
    grpc::ClientContext context;
    EvaluateRequest request;
    request.set_job(job_);
    auto reader = stub_->Evaluate(&context, request);
    EvaluateProgress progress;
    while (reader->Read(&progress)) losses->push_back(progress.loss());
    return reader->Finish();
  }

  const grpc::Status kBusy{grpc::StatusCode::RESOURCE_EXHAUSTED, "it evaluates for another caller"};
  std::optional<HandWorker> first_, second_;
  std::string job_;
};

TEST_F(EvaluationTest, GoesToTheNextFreeWorkerWhileOneServesAnotherCaller) {
  EvaluatingWorker busy(kBusy, /*refuses=*/true), idle(grpc::Status::OK);
  Start(&busy, &idle);
  std::vector<double> losses;

  const grpc::Status status = Evaluate(&losses);

  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(losses, std::vector<double>({2.5}));
}

TEST_F(EvaluationTest, SaysSoWhenAllWorkersServeOthers) {
  EvaluatingWorker busy(kBusy, /*refuses=*/true), too(kBusy, /*refuses=*/true);
  Start(&busy, &too);
  std::vector<double> losses;

  const grpc::Status status = Evaluate(&losses);

  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(status.error_message(), "worker w2: it evaluates for another caller");
}

TEST_F(EvaluationTest, TakesAnyOtherErrorForTheAnswer) {
  const grpc::Status damage(grpc::StatusCode::DATA_LOSS, "a shard is damaged");
  EvaluatingWorker failing(damage, /*refuses=*/true), idle(grpc::Status::OK);
  Start(&failing, &idle);
  std::vector<double> losses;
  EXPECT_EQ(Evaluate(&losses).error_message(), "worker w1: a shard is damaged");
  EXPECT_TRUE(losses.empty());
}

TEST_F(EvaluationTest, DoesNotBeginAnewAfterTheFirstWord) {
  EvaluatingWorker exhausted(kBusy), idle(grpc::Status::OK);
  Start(&exhausted, &idle);
  std::vector<double> losses;

  EXPECT_EQ(Evaluate(&losses).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(losses, std::vector<double>({2.5}));
}

}  // namespace
}  // namespace carousel
