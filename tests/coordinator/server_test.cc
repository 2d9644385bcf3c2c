// The whole coordinator over loopback: real gRPC, a real store, a worker that answers by hand.
#include "coordinator/server.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cluster/job/contract.h"
#include "cluster/state_digest.h"
#include "proto/coordinator.grpc.pb.h"
#include "tests/cluster/temporary_folder.h"
#include "tests/coordinator/fake_cluster.h"

namespace carousel {
namespace {

// A whole job as a client writes it: the synthetic corpus, 4 units.
JobSpec SmallJob(int steps) {
  JobSpec spec;
  spec.set_name("small");
  spec.set_steps(steps);
  spec.mutable_model()->set_family(XLSTM);
  spec.mutable_model()->set_vocab_size(257);
  spec.mutable_model()->set_dim(64);
  spec.mutable_model()->set_num_blocks(2);
  spec.mutable_data()->mutable_synthetic()->set_seed(1);
  spec.mutable_data()->set_sequence_length(128);
  spec.mutable_data()->set_batch_size(4);
  spec.mutable_learning_rate()->set_peak(1e-3);
  return spec;
}

// Holds the one stage of a job and makes a step whenever it is asked for something or time passes.
class HandWorker {
 public:
  HandWorker(const std::string& coordinator, const std::string& id) {
    stub_ = WorkerSession::NewStub(
        grpc::CreateChannel(coordinator, grpc::InsecureChannelCredentials()));
    stream_ = stub_->Attach(&context_);
    WorkerMessage hello;
    *hello.mutable_hello() = HelloOf(id);
    stream_->Write(hello);
    reader_ = std::thread([this] { Read(); });
    trainer_ = std::thread([this] { Train(); });
  }
  ~HandWorker() {
    stopping_ = true;
    context_.TryCancel();
    trainer_.join();
    reader_.join();
  }

 private:
  void Send(const WorkerMessage& message) {
    std::lock_guard<std::mutex> lock(write_mutex_);
    stream_->Write(message);
  }

  void Read() {
    CoordinatorMessage message;
    while (stream_->Read(&message)) {
      WorkerMessage answer;
      if (message.has_measure()) {
        answer.mutable_measured()->set_job(message.measure().job());
        answer.mutable_measured()->set_epoch(message.measure().epoch());
        for (int u = 0; u < 4; ++u) answer.mutable_measured()->add_units()->set_forward(1);
        Send(answer);
      } else if (message.has_install()) {
        std::lock_guard<std::mutex> lock(mutex_);
        install_ = message.install();
        step_ = install_.has_restore() ? install_.restore().step() : 0;
        stop_ = false;
        answer.mutable_installed()->set_job(install_.plan().job());
        answer.mutable_installed()->set_epoch(install_.plan().epoch());
        Send(answer);
      } else if (message.has_start()) {
        running_ = true;
      } else if (message.has_boundary()) {
        stop_ = message.boundary().stop();
      } else if (message.has_drop()) {
        running_ = false;
      }
    }
    stopping_ = true;
  }

  void Train() {
    while (!stopping_) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      std::lock_guard<std::mutex> lock(mutex_);
      if (running_) Step();
    }
  }

  void Step() {
    ++step_;
    const bool stop = stop_ || step_ == install_.spec().steps();
    WorkerMessage message;
    StepReport* report = message.mutable_step();
    report->set_job(install_.plan().job());
    report->set_epoch(install_.plan().epoch());
    report->set_step(step_);
    report->set_loss(1.0 / static_cast<double>(step_));
    report->set_tokens(512);
    for (int u = 0; u < 4; ++u) {
      report->add_unit_digests(std::string(TrainedUnit(u, step_).AsBytes()));
    }
    Send(message);
    if (!stop) return;
    message.Clear();
    Prepared* prepared = message.mutable_prepared();
    prepared->set_job(install_.plan().job());
    prepared->set_epoch(install_.plan().epoch());
    prepared->set_step(step_);
    for (int u = 0; u < 4; ++u) {
      prepared->add_shards()->set_unit(u);
      prepared->mutable_shards(u)->set_digest(std::string(TrainedUnit(u, step_).AsBytes()));
    }
    prepared->mutable_cursor()->set_step(step_);
    prepared->mutable_cursor()->set_sequences(step_ * 4);
    Send(message);
    message.Clear();
    message.mutable_stopped()->set_job(install_.plan().job());
    message.mutable_stopped()->set_epoch(install_.plan().epoch());
    message.mutable_stopped()->set_step(step_);
    Send(message);
    running_ = false;
  }

  std::unique_ptr<WorkerSession::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<WorkerMessage, CoordinatorMessage>> stream_;
  std::mutex write_mutex_, mutex_;
  Install install_;
  int64_t step_ = 0;
  std::atomic<bool> running_{false}, stop_{false}, stopping_{false};
  std::thread reader_, trainer_;
};

class ServerTest : public testing::Test {
 protected:
  void SetUp() override { StartServer(); }

  void StartServer() {
    ServerOptions options;
    options.listen = "127.0.0.1:0";
    options.state = folder_.path() + "/coordinator";
    options.probe_dataset = [this](const std::string& folder) -> absl::StatusOr<DatasetFacts> {
      const auto dataset = datasets_.find(folder);
      if (dataset == datasets_.end()) return absl::NotFoundError(folder + " is not there");
      return DatasetFacts{.digest = dataset->second, .vocab_size = 257, .tokens = 100000};
    };
    auto server = CoordinatorServer::Start(options);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    stub_ = Coordinator::NewStub(
        grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials()));
  }

  std::string Submit(const JobSpec& spec) {
    SubmitJobResponse response;
    const grpc::Status status = TrySubmit(spec, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.job();
  }

  grpc::Status TrySubmit(const JobSpec& spec, SubmitJobResponse* response) {
    grpc::ClientContext context;
    SubmitJobRequest request;
    request.set_request_id("submit");
    *request.mutable_job() = spec;
    return stub_->SubmitJob(&context, request, response);
  }

  // A job that trains on the data set of `folder`, before it runs.
  std::string PausedJobOn(const std::string& folder) {
    JobSpec spec = SmallJob(100);
    spec.mutable_data()->clear_synthetic();
    spec.mutable_data()->set_dataset(folder);
    const std::string job = Submit(spec);
    grpc::ClientContext context;
    Job view;
    EXPECT_TRUE(stub_->PauseJob(&context, Request(job), &view).ok());
    return job;
  }

  grpc::Status TryResume(const ResumeJobRequest& changes, const std::string& job) {
    grpc::ClientContext context;
    ResumeJobRequest request = changes;
    request.set_request_id("resume-" + std::to_string(++requests_));
    request.set_job(job);
    Job view;
    return stub_->ResumeJob(&context, request, &view);
  }

  Job Get(const std::string& job) {
    grpc::ClientContext context;
    Job view;
    EXPECT_TRUE(stub_->GetJob(&context, Request(job), &view).ok());
    return view;
  }

  JobRequest Request(const std::string& job) {
    JobRequest request;
    request.set_job(job);
    request.set_request_id("request-" + std::to_string(++requests_));
    return request;
  }

  // Follows a job until it rests; every view that came.
  std::vector<Job> Watch(const std::string& job) {
    grpc::ClientContext context;
    auto reader = stub_->WatchJob(&context, Request(job));
    std::vector<Job> views;
    Job view;
    while (reader->Read(&view)) views.push_back(view);
    EXPECT_TRUE(reader->Finish().ok());
    return views;
  }

  void WaitForStep(const std::string& job, int64_t step) {
    grpc::ClientContext context;
    auto reader = stub_->WatchJob(&context, Request(job));
    Job view;
    while (reader->Read(&view) && view.step() < step) {
    }
    context.TryCancel();
  }

  TemporaryFolder folder_;
  std::map<std::string, std::string> datasets_;  // digests by folder
  std::unique_ptr<CoordinatorServer> server_;
  std::unique_ptr<Coordinator::Stub> stub_;
  int requests_ = 0;
};

TEST_F(ServerTest, RunsAJobToItsEndAndLetsClientsWatch) {
  HandWorker worker(server_->address(), "w1");
  const std::string job = Submit(SmallJob(20));

  const std::vector<Job> views = Watch(job);

  ASSERT_FALSE(views.empty());
  const Job& last = views.back();
  EXPECT_EQ(last.state(), DONE) << last.reason();
  EXPECT_EQ(last.step(), 20);
  EXPECT_EQ(last.tokens(), 20 * 512);
  EXPECT_EQ(last.state_digest(), TrainedState(last.spec(), 20));
  EXPECT_EQ(last.contract(), ContractHash(last.spec()));
}

TEST_F(ServerTest, ReturnsFromPauseOnceItIsCommittedAndFromResumeOnceItRuns) {
  HandWorker worker(server_->address(), "w1");
  const std::string job = Submit(SmallJob(100000));
  WaitForStep(job, 3);

  grpc::ClientContext pause_context;
  Job paused;
  ASSERT_TRUE(stub_->PauseJob(&pause_context, Request(job), &paused).ok());
  EXPECT_EQ(paused.state(), PAUSED);
  EXPECT_GE(paused.step(), 3);
  EXPECT_EQ(paused.committed_step(), paused.step());

  grpc::ClientContext resume_context;
  ResumeJobRequest resume;
  resume.set_job(job);
  resume.set_request_id("resume");
  resume.add_overrides("pipeline.segments=2");
  Job running;
  const grpc::Status resumed = stub_->ResumeJob(&resume_context, resume, &running);
  ASSERT_TRUE(resumed.ok()) << resumed.error_message();
  EXPECT_EQ(running.state(), RUNNING);
  EXPECT_EQ(running.segments(), 2);

  grpc::ClientContext cancel_context;
  Job cancelled;
  ASSERT_TRUE(stub_->CancelJob(&cancel_context, Request(job), &cancelled).ok());
  EXPECT_EQ(cancelled.state(), CANCELLED);
  EXPECT_GT(cancelled.step(), paused.step());
}

TEST_F(ServerTest, RefusesAResumeThatWouldChangeTheContract) {
  const std::string job = Submit(SmallJob(10));
  grpc::ClientContext pause_context, resume_context;
  Job view;
  ASSERT_TRUE(stub_->PauseJob(&pause_context, Request(job), &view).ok());
  ResumeJobRequest resume;
  resume.set_job(job);
  resume.set_request_id("resume");
  resume.add_overrides("optimizer.beta1=0.5");

  const grpc::Status refused = stub_->ResumeJob(&resume_context, resume, &view);

  EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_NE(refused.error_message().find("optimizer.beta1"), std::string::npos)
      << refused.error_message();
}

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

TEST_F(ServerTest, RefusesAJobWithAllItsFaultsAtOnce) {
  JobSpec spec = SmallJob(-1);
  spec.mutable_data()->set_sequence_length(0);
  grpc::ClientContext context;
  SubmitJobRequest request;
  request.set_request_id("submit");
  *request.mutable_job() = spec;
  SubmitJobResponse response;

  const grpc::Status refused = stub_->SubmitJob(&context, request, &response);

  EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_NE(refused.error_message().find("steps"), std::string::npos);
  EXPECT_NE(refused.error_message().find("data.sequence_length"), std::string::npos);
}

TEST_F(ServerTest, ShowsWorkersCheckpointsLogsAndItsVersion) {
  HandWorker worker(server_->address(), "w1");
  const std::string job = Submit(SmallJob(5));
  Watch(job);

  grpc::ClientContext nodes_context, checkpoints_context, version_context, logs_context;
  ListNodesResponse nodes;
  ASSERT_TRUE(stub_->ListNodes(&nodes_context, {}, &nodes).ok());
  ASSERT_EQ(nodes.nodes_size(), 1);
  EXPECT_TRUE(nodes.nodes(0).alive());

  ListCheckpointsResponse checkpoints;
  ASSERT_TRUE(stub_->ListCheckpoints(&checkpoints_context, Request(job), &checkpoints).ok());
  ASSERT_EQ(checkpoints.checkpoints_size(), 1);
  EXPECT_EQ(checkpoints.checkpoints(0).step(), 5);
  EXPECT_EQ(checkpoints.checkpoints(0).holders(0), "w1");

  Version version;
  ASSERT_TRUE(stub_->GetVersion(&version_context, {}, &version).ok());
  EXPECT_EQ(version.cluster_id().size(), 16);

  LogsRequest logs;
  logs.set_job(job);
  auto reader = stub_->StreamLogs(&logs_context, logs);
  LogEntry entry;
  bool committed = false;
  while (reader->Read(&entry))
    committed |= entry.line().find("committed step 5") != std::string::npos;
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_TRUE(committed);
}

TEST_F(ServerTest, KeepsItsJobsAndItsIdentityOverARestart) {
  const std::string job = Submit(SmallJob(5));
  server_.reset();

  StartServer();

  EXPECT_EQ(Submit(SmallJob(5)), job) << "the request was answered before the restart";
}

TEST_F(ServerTest, AnswersARepeatedSubmissionThoughItsDatasetIsGone) {
  datasets_["/data"] = "aa";
  JobSpec spec = SmallJob(5);
  spec.mutable_data()->clear_synthetic();
  spec.mutable_data()->set_dataset("/data");
  const std::string job = Submit(spec);
  datasets_.clear();

  EXPECT_EQ(Submit(spec), job);

  spec.set_steps(6);
  SubmitJobResponse response;
  const grpc::Status refused = TrySubmit(spec, &response);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(refused.error_message(),
            "request_id: 'submit' was used for job small-1, which has another contract; choose a "
            "new one");
}

TEST_F(ServerTest, ResumesAJobWhoseDatasetMovedIfItIsTheSameData) {
  datasets_ = {{"/old", "aa"}, {"/other", "bb"}};
  const std::string job = PausedJobOn("/old");
  datasets_.erase("/old");
  datasets_["/new"] = "aa";
  ResumeJobRequest gone, other, moved;
  gone.set_dataset("/nowhere");
  other.set_dataset("/other");
  moved.set_dataset("/new");

  EXPECT_EQ(TryResume(gone, job).error_message(), "data.dataset: /nowhere is not there");
  const grpc::Status refused = TryResume(other, job);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_NE(refused.error_message().find("its digest is bb, the job's aa"), std::string::npos)
      << refused.error_message();
  EXPECT_EQ(Get(job).spec().data().dataset(), "/old") << "nothing half-done";

  HandWorker worker(server_->address(), "w1");
  const grpc::Status resumed = TryResume(moved, job);
  EXPECT_TRUE(resumed.ok()) << resumed.error_message();
  EXPECT_EQ(Get(job).spec().data().dataset(), "/new");
}

TEST_F(ServerTest, ResumesWithAnotherCheckpointPolicyAndNamesTheFieldThatIsWrong) {
  const std::string job = Submit(SmallJob(100));
  grpc::ClientContext context;
  Job view;
  ASSERT_TRUE(stub_->PauseJob(&context, Request(job), &view).ok());
  ResumeJobRequest wrong, right, dataset;
  wrong.mutable_checkpoint()->set_keep(1);
  right.mutable_checkpoint()->set_every_steps(7);
  dataset.set_dataset("/data");

  EXPECT_NE(TryResume(wrong, job).error_message().find("checkpoint.keep"), std::string::npos);
  EXPECT_EQ(TryResume(dataset, job).error_message(),
            "dataset: job small-1 trains on synthetic data; leave the field empty");
  HandWorker worker(server_->address(), "w1");
  ASSERT_TRUE(TryResume(right, job).ok());

  EXPECT_EQ(Get(job).spec().checkpoint().every_steps(), 7);
  EXPECT_EQ(Get(job).spec().checkpoint().keep(), view.spec().checkpoint().keep());
}

TEST_F(ServerTest, RefusesToEvaluateAStepThatCanBeNone) {
  const std::string job = Submit(SmallJob(5));
  for (int64_t step : {int64_t{-1}, INT64_MIN, INT64_MAX}) {
    grpc::ClientContext context;
    EvaluateRequest request;
    request.set_job(job);
    request.set_step(step);
    EvaluateProgress progress;

    auto reader = stub_->Evaluate(&context, request);
    while (reader->Read(&progress)) {
    }

    const grpc::Status refused = reader->Finish();
    EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << step;
    EXPECT_EQ(refused.error_message().rfind("step: ", 0), 0) << refused.error_message();
  }
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
            "--lease_seconds=0.5 is not between 2 and 3600");
  options.state = "";
  EXPECT_EQ(CoordinatorServer::Start(options).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace carousel
