// What a worker does for callers, beside its stage.

#include "worker/service.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "cluster/channel.h"
#include "cluster/store.h"
#include "tests/worker/edge_pair.h"
#include "tests/worker/silent_holder.h"
#include "tests/worker/small_job.h"

namespace carousel {
namespace {

using ::testing::HasSubstr;

class ServiceTest : public ::testing::Test {
 protected:
  // A checkpoint whose shards lie on `holder`.
  template <typename Request>
  Request RequestOf(const SilentHolder& holder) {
    Request request;
    *request.mutable_spec() = SmallJob();
    request.mutable_manifest()->set_job("small");
    request.mutable_manifest()->set_step(3);
    for (int unit = 0; unit < 4; ++unit) {
      ShardRef& ref = *request.mutable_manifest()->add_units();
      ref.set_holder("w9");
      ref.set_digest(std::string(16, 'x'));
    }
    Holder& at = *request.add_holders();
    at.set_worker("w9");
    at.set_address(holder.address);
    return request;
  }
  grpc::Status Evaluate(grpc::ClientContext* context, const WorkerEvaluateRequest& request) {
    const auto reader = stub_->Evaluate(context, request);
    EvaluateProgress progress;
    while (reader->Read(&progress)) {
    }
    return reader->Finish();
  }
  grpc::Status Generate(const WorkerGenerateRequest& request) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    const auto reader = stub_->Generate(&context, request);
    GeneratedText text;
    while (reader->Read(&text)) {
    }
    return reader->Finish();
  }

  std::unique_ptr<Store> store_ = NewMemoryStore();
  ShardStore shards_{store_.get()};
  ServedWorker served_{&shards_};
  std::unique_ptr<Worker::Stub> stub_ = Worker::NewStub(OpenChannel(served_.address()));
};

// Each holds a model, and a worker's memory has an end.
TEST_F(ServiceTest, OneCallerAtATimeHasAModelAndTheOthersAreToldToTryAgain) {
  // Given a caller whose model is being loaded, from a holder that never answers,
  SilentHolder holder;
  grpc::ClientContext first;
  grpc::Status first_ended;
  std::thread caller(
      [&] { first_ended = Evaluate(&first, RequestOf<WorkerEvaluateRequest>(holder)); });
  holder.was_asked.Wait().IgnoreError();

  // when another comes, then it is refused at once.
  WorkerGenerateRequest no_model;  // names no model: an error of another kind, once it has its turn
  const grpc::Status refused = Generate(no_model);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << refused.error_message();
  EXPECT_THAT(refused.error_message(), HasSubstr("already evaluates or generates"));
  EXPECT_THAT(refused.error_message(), HasSubstr("try again"));

  // And when the first has left, then it has its turn.
  first.TryCancel();
  caller.join();
  EXPECT_EQ(first_ended.error_code(), grpc::StatusCode::CANCELLED);
  grpc::Status then = refused;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (then.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED &&
         std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    then = Generate(no_model);
  }
  EXPECT_EQ(then.error_code(), grpc::StatusCode::FAILED_PRECONDITION) << then.error_message();
}

}  // namespace
}  // namespace carousel
