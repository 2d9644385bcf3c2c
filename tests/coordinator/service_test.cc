// What clients ask, over the wire.
#include "coordinator/service.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cluster/job/contract.h"
#include "cluster/log.h"
#include "tests/coordinator/server_testing.h"

namespace carousel {
namespace {

using ServiceTest = ServerTest;

TEST_F(ServiceTest, RunsAJobToItsEndAndLetsClientsWatch) {
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

TEST_F(ServiceTest, ReturnsFromPauseOnceItIsCommittedAndFromResumeOnceItRuns) {
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

// The way out of a wish that no cluster fulfils: another one.
TEST_F(ServiceTest, LetsAResumeThatWaitsBeReplacedByAnother) {
  HandWorker worker(server_->address(), "w1");
  const std::string job = Submit(SmallJob(100000));
  WaitForStep(job, 3);
  grpc::ClientContext context;
  Job view;
  ASSERT_TRUE(stub_->PauseJob(&context, Request(job), &view).ok());
  ResumeJobRequest wide, narrow;
  wide.add_overrides("pipeline.stages=4");
  narrow.add_overrides("pipeline.stages=1");
  std::future<grpc::Status> waits =
      std::async(std::launch::async, [&] { return TryResume(wide, job); });
  while (Get(job).state() != QUEUED) std::this_thread::sleep_for(std::chrono::milliseconds(5));

  const grpc::Status resumed = TryResume(narrow, job);

  EXPECT_TRUE(resumed.ok()) << resumed.error_message();
  EXPECT_TRUE(waits.get().ok()) << "it runs, and that is what it waited for";
  EXPECT_EQ(Get(job).spec().pipeline().stages(), 1);
}

TEST_F(ServiceTest, APauseThatComesToNoBoundaryReturnsAJobThatWasCutShortEachTimeThatItIsAsked) {
  auto worker = std::make_unique<HandWorker>(server_->address(), "w1", /*ignores_stop=*/true);
  const std::string job = Submit(SmallJob(100000));
  WaitForStep(job, 3);
  const JobRequest request = Request(job);
  const auto pause = [&](const JobRequest& asked) {
    grpc::ClientContext context;
    Job view;
    const grpc::Status status = stub_->PauseJob(&context, asked, &view);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return view;
  };
  std::future<Job> waits = std::async(std::launch::async, [&] { return pause(request); });
  while (Get(job).state() != PAUSING) std::this_thread::sleep_for(std::chrono::milliseconds(5));

  worker.reset();

  const Job first = waits.get();
  EXPECT_EQ(first.state(), PAUSED);
  EXPECT_TRUE(first.cut_short());
  EXPECT_EQ(first.reason().rfind("worker w1 was lost (", 0), 0) << first.reason();
  EXPECT_EQ(pause(request).SerializeAsString(), first.SerializeAsString()) << "the same call again";
  EXPECT_EQ(pause(Request(job)).SerializeAsString(), first.SerializeAsString()) << "a new one";
}

TEST_F(ServiceTest, APauseOfAJobThatFailsOnTheWayReturnsTheFailedJob) {
  HandWorker worker(server_->address(), "w1", /*ignores_stop=*/true);
  const std::string job = Submit(SmallJob(100000));
  WaitForStep(job, 3);
  grpc::ClientContext context;
  Job failed;
  std::future<grpc::Status> waits = std::async(
      std::launch::async, [&] { return stub_->PauseJob(&context, Request(job), &failed); });
  while (Get(job).state() != PAUSING) std::this_thread::sleep_for(std::chrono::milliseconds(5));

  worker.Fail("disk full");

  const grpc::Status status = waits.get();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(failed.state(), FAILED);
  EXPECT_EQ(failed.reason(), "stage 0 (worker w1): disk full; no checkpoint yet");
}

TEST_F(ServiceTest, RefusesAResumeThatWouldChangeTheContract) {
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

TEST_F(ServiceTest, RefusesAJobWithAllItsFaultsAtOnce) {
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

TEST_F(ServiceTest, ShowsWorkersCheckpointsLogsAndItsVersion) {
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

TEST_F(ServiceTest, FollowsTheLogFromItsNewestLinesOn) {
  const std::string job = Submit(SmallJob(5));
  LogInfo("test", "job " + job + ": before");
  LogsRequest request;
  request.set_job(job);
  request.set_tail(1);
  request.set_follow(true);
  grpc::ClientContext context;
  auto reader = stub_->StreamLogs(&context, request);
  LogEntry first, second;

  ASSERT_TRUE(reader->Read(&first));
  LogInfo("test", "job other-1: of another job");
  LogInfo("test", "job " + job + ": after");
  ASSERT_TRUE(reader->Read(&second));

  EXPECT_NE(first.line().find(": before"), std::string::npos) << first.line();
  EXPECT_NE(second.line().find(": after"), std::string::npos) << second.line();
  context.TryCancel();
  EXPECT_FALSE(reader->Read(&first));
}

TEST_F(ServiceTest, AnswersARepeatedSubmissionThoughItsDatasetIsGone) {
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

TEST_F(ServiceTest, ResumesAJobWhoseDatasetMovedIfItIsTheSameData) {
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

TEST_F(ServiceTest, ResumesWithAnotherCheckpointPolicyAndNamesTheFieldThatIsWrong) {
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

TEST_F(ServiceTest, NamesTheCheckpointsThereAreInPlaceOfOneThatIsNot) {
  const std::string job = Submit(SmallJob(5));
  const auto evaluate = [&](int64_t step) {
    grpc::ClientContext context;
    EvaluateRequest request;
    request.set_job(job);
    request.set_step(step);
    EvaluateProgress progress;
    auto reader = stub_->Evaluate(&context, request);
    while (reader->Read(&progress)) {
    }
    return reader->Finish();
  };

  EXPECT_EQ(evaluate(0).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(evaluate(0).error_message(), "job small-1 has no checkpoint yet");
  EXPECT_EQ(evaluate(3).error_message(), "job small-1 has no checkpoint yet, also none of step 3");
  HandWorker worker(server_->address(), "w1");
  Watch(job);
  EXPECT_EQ(evaluate(3).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(evaluate(3).error_message(),
            "job small-1 has no checkpoint of step 3; its newest: of step 5, and `carousel get "
            "checkpoints small-1` lists all");
}

TEST_F(ServiceTest, RefusesToEvaluateAStepThatCanBeNone) {
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

}  // namespace
}  // namespace carousel
