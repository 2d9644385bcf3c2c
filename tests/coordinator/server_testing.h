// The whole coordinator over loopback: real gRPC, a real store, a worker that answers by hand.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cluster/mutex.h"
#include "coordinator/server.h"
#include "proto/coordinator.grpc.pb.h"
#include "tests/cluster/temporary_folder.h"
#include "tests/coordinator/tiny_job.h"

namespace carousel {

// A whole job as a client writes it: the synthetic corpus, 4 units.
inline JobSpec SmallJob(int steps) {
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
  HandWorker(const std::string& coordinator, const std::string& id, bool ignores_stop = false,
             const std::string& address = "")
      : ignores_stop_(ignores_stop) {
    stub_ = WorkerSession::NewStub(
        grpc::CreateChannel(coordinator, grpc::InsecureChannelCredentials()));
    stream_ = stub_->Attach(&context_);
    WorkerMessage hello;
    *hello.mutable_hello() = HelloOf(id);
    if (!address.empty()) hello.mutable_hello()->set_address(address);
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

  // The stage reports that it failed, and lets go.
  void Fail(const std::string& reason) {
    std::lock_guard<std::mutex> lock(mutex_);
    running_ = false;
    WorkerMessage message;
    message.mutable_failure()->set_job(install_.plan().job());
    message.mutable_failure()->set_epoch(install_.plan().epoch());
    message.mutable_failure()->set_reason(reason);
    Send(message);
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
        stop_ = message.boundary().stop() && !ignores_stop_;
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

  const bool ignores_stop_;
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
  std::atomic<int> requests_{0};
};

}  // namespace carousel
