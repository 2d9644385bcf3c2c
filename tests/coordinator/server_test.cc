// The server's own part: folder, port, restart, and the services beside ours.
#include "coordinator/server.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "tests/coordinator/server_testing.h"

namespace carousel {
namespace {

TEST_F(ServerTest, NoticesAWorkerWhoseStreamEnds) {
  auto worker = std::make_unique<HandWorker>(server_->address(), "w1");
  const std::string job = Submit(SmallJob(100000));
  WaitForStep(job, 3);

  worker.reset();
  const std::vector<Job> views = Watch(job);

  EXPECT_EQ(views.back().state(), PAUSED);
  EXPECT_NE(views.back().reason().find("worker w1 was lost (its connection closed)"),
            std::string::npos)
      << views.back().reason();
}

TEST_F(ServerTest, KeepsItsJobsAndItsIdentityOverARestart) {
  const std::string job = Submit(SmallJob(5));
  server_.reset();

  StartServer();

  EXPECT_EQ(Submit(SmallJob(5)), job) << "the request was answered before the restart";
}

// The health service's messages, by their bytes: an empty request; field 1 of the answer is 1.
TEST_F(ServerTest, SaysThatItIsHealthy) {
  grpc::TemplatedGenericStub<JobRequest, StepLoss> stub(
      grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  StepLoss serving;
  grpc::Status status;
  auto call = stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", {}, &queue);
  call->StartCall();
  call->Finish(&serving, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  ASSERT_TRUE(queue.Next(&tag, &ok));

  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(serving.step(), 1) << "SERVING";
}

// Field 7 of the request asks for the services' names.
TEST_F(ServerTest, ListsItsServicesByReflection) {
  grpc::GenericStub stub(
      grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  void* tag = nullptr;
  bool ok = false;
  const auto done = [&] { return queue.Next(&tag, &ok) && ok; };
  auto call = stub.PrepareCall(
      &context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
  call->StartCall(nullptr);
  ASSERT_TRUE(done());
  const grpc::Slice question(std::string("\x3a\x01*"));
  call->Write(grpc::ByteBuffer(&question, 1), nullptr);
  ASSERT_TRUE(done());
  grpc::ByteBuffer answer;
  call->Read(&answer, nullptr);
  ASSERT_TRUE(done());
  std::vector<grpc::Slice> slices;
  ASSERT_TRUE(answer.Dump(&slices).ok());
  std::string text;
  for (const grpc::Slice& slice : slices) text.append(slice.begin(), slice.end());

  EXPECT_NE(text.find("carousel.Coordinator"), std::string::npos);
  EXPECT_NE(text.find("carousel.WorkerSession"), std::string::npos);
  context.TryCancel();
  grpc::Status status;
  call->Finish(&status, nullptr);
  ASSERT_TRUE(queue.Next(&tag, &ok));
}

TEST_F(ServerTest, RefusesAStateFolderThatIsInUse) {
  ServerOptions options;
  options.listen = "127.0.0.1:0";
  options.state = folder_.path() + "/coordinator";

  const absl::Status refused = CoordinatorServer::Start(options).status();

  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable) << refused;
  EXPECT_NE(refused.message().find(options.state), std::string::npos) << refused;
}

TEST_F(ServerTest, RefusesAPortThatIsInUse) {
  ServerOptions options;
  options.listen = server_->address();
  options.state = folder_.path() + "/other";

  const absl::Status refused = CoordinatorServer::Start(options).status();

  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(refused.message().find("the port is in use"), std::string::npos);
}

TEST(ServerOptions, AreCheckedBeforeAnythingIsTouched) {
  TemporaryFolder folder;
  ServerOptions options;
  options.listen = "0.0.0.0:0";
  options.state = folder.path() + "/new";
  EXPECT_NE(CoordinatorServer::Start(options).status().message().find("--insecure"),
            std::string::npos);
  EXPECT_FALSE(std::ifstream(options.state).good());

  options.listen = "127.0.0.1:0";
  options.lease_seconds = 0.5;
  EXPECT_EQ(CoordinatorServer::Start(options).status().message(),
            "--lease-seconds=0.5 is not between 2 and 3600");
  options.state = "";
  EXPECT_EQ(CoordinatorServer::Start(options).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace carousel
