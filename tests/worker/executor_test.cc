// What an executor waits for, and what it does not, told by a transport that takes its time.

#include "worker/executor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "cluster/mutex.h"
#include "kernels/backend.h"
#include "tests/worker/small_job.h"
#include "tests/worker/small_plan.h"
#include "worker/job_terms.h"
#include "worker/step_records.h"

namespace carousel {
namespace {

using kernels::Event;
using kernels::Span;

constexpr auto kPatience = std::chrono::seconds(60);

// Neighbours whose tensors are there at once; the stories say when they take this stage's, and what
// they decide.
class ScriptedTransport : public Transport {
 public:
  Event Send(int, const Tag& tag, Span, const Event&) override {
    return on_send ? on_send(tag) : Event();
  }
  Event Recv(int, const Tag& tag, Span span, const Event&) override {
    if (tag.kind == TIED_GRADIENT) std::fill_n(span.As<float>(), span.size(), 1.0f);
    return Event();
  }
  absl::Status SendBytes(int, const Tag&, std::string) override { return absl::OkStatus(); }
  absl::StatusOr<std::string> ReceiveBytes(int, const Tag& tag) override {
    return on_receive_bytes(tag);
  }
  void Abort(const absl::Status&) override {}

  std::function<Event(const Tag&)> on_send;
  std::function<absl::StatusOr<std::string>(const Tag&)> on_receive_bytes;
};

// One of two stages of a small job.
class ExecutorTest : public ::testing::Test {
 protected:
  void Build(const JobSpec& job, int index) {
    job_ = job;
    layout_ = LayOut(job_.model());
    plan_ = SmallPlan(job_, {"here", "there"});
    reader_.emplace(*OpenTrainingData(job_));
    const StagePlan& mine = plan_.stages(index);
    stage_ = *Stage::Create(backend_.get(), backend_->NewStream(),
                            {.model = &job_.model(),
                             .layout = &layout_,
                             .first_unit = mine.first_unit(),
                             .end_unit = mine.end_unit(),
                             .capacity = CapacityOf(job_, mine.slots(), plan_.segments())});
    stage_->Initialize(job_.numerics().seed());
    executor_ = *Executor::Create({.job = &job_,
                                   .layout = &layout_,
                                   .plan = &plan_,
                                   .stage_index = index,
                                   .stage = stage_.get(),
                                   .transport = &transport_,
                                   .reader = &*reader_});
  }
  std::future<absl::Status> RunStep(int64_t step) {
    return std::async(std::launch::async,
                      [this, step] { return executor_->RunStep(step, {}).status(); });
  }
  std::vector<float> Read(Span span) {
    const kernels::OwnedStream stream(backend_.get());
    std::vector<float> values(span.size());
    backend_->CopyToHost(stream.get(), span, values.data());
    EXPECT_TRUE(backend_->Record(stream.get()).Wait().ok());
    return values;
  }

  JobSpec job_;
  ModelLayout layout_;
  Plan plan_;
  std::optional<BatchReader> reader_;
  std::unique_ptr<kernels::Backend> backend_ = *kernels::NewBackend("cpu", 1);
  ScriptedTransport transport_;
  std::unique_ptr<Stage> stage_;
  std::unique_ptr<Executor> executor_;
};

// Segments have rows of their own.
TEST_F(ExecutorTest, TheBackwardOfASegmentDoesNotWaitUntilTheGradientOfAnotherIsTaken) {
  // Given a neighbour that takes a gradient only when it hears of the next one,
  Mutex mutex;
  Event offered;
  bool patient = true;
  int gradients = 0;
  transport_.on_send = [&](const Tag& tag) {
    MutexLock lock(&mutex);
    if (tag.kind != GRADIENT) return Event();
    if (!offered.ready()) offered.Complete();
    offered = patient ? Event::Pending() : Event();
    ++gradients;
    return offered;
  };
  const absl::Status enough = absl::CancelledError("the operations were the story");
  transport_.on_receive_bytes = [&](const Tag&) { return enough; };
  Build(SmallJob({{"", "pipeline.segments", "3"}}), /*index=*/1);
  ASSERT_EQ(plan_.segments(), 3);

  // when a step runs,
  std::future<absl::Status> ended = RunStep(0);

  // then it comes to its end.
  if (ended.wait_for(kPatience) != std::future_status::ready) {
    ADD_FAILURE() << "it waits";
    MutexLock lock(&mutex);
    patient = false;
    offered.Complete();
  }
  EXPECT_EQ(ended.get(), enough);
  EXPECT_EQ(gradients, 4 * 3) << "four micro-batches in three segments";
}

TEST_F(ExecutorTest, ATiedMatrixIsSentBesideTheNextStepAndOnlyTheUpdateWaitsForIt) {
  StepDecision decision = {.apply = true};
  decision.update.learning_rate = 0.5;
  decision.update.weight_decay = 0.5;
  decision.update.epsilon = 1e-8;
  Event taken = Event::Pending();
  std::vector<float> sent;
  std::thread neighbour;
  // Given a neighbour that takes the matrix of step 1 when the update of step 2 is due, not sooner,
  transport_.on_send = [&](const Tag& tag) {
    return tag.kind == TIED_WEIGHT && tag.step == 1 ? taken : Event();
  };
  Build(SmallJob({{"", "model.tie_embeddings", "true"}}), /*index=*/0);
  const Span matrix = stage_->parameters().front().tensors().front().weight;
  transport_.on_receive_bytes = [&](const Tag& tag) {
    if (tag.step == 1) {
      neighbour = std::thread([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));  // for who does not wait
        sent = Read(matrix);
        taken.Complete();
      });
    }
    return EncodeDecision(decision);
  };

  // when two steps run,
  std::future<absl::Status> first = RunStep(0);
  if (first.wait_for(kPatience) != std::future_status::ready) {
    taken.Complete();
    FAIL() << "the first step waits";
  }
  ASSERT_EQ(first.get(), absl::OkStatus());
  const std::vector<float> after_first = Read(matrix);
  const absl::Status second = RunStep(1).get();
  if (neighbour.joinable()) neighbour.join();
  ASSERT_EQ(second, absl::OkStatus());

  // then the neighbour has got what the first one made.
  EXPECT_EQ(sent, after_first);
  EXPECT_NE(Read(matrix), after_first);
}

}  // namespace
}  // namespace carousel
