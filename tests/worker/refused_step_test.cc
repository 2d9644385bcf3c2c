// A step is a transaction: what is not finite is applied by no stage.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/worker/small_job.h"
#include "tests/worker/small_plan.h"
#include "tests/worker/small_stage.h"
#include "worker/executor.h"
#include "worker/loopback_transport.h"

namespace carousel {
namespace {

// How a stage's run ended.
struct Ending {
  int64_t step = 0;  // that was refused
  std::string reason;
  std::vector<Digest> before, after;  // of its units, around that step
};

absl::StatusOr<std::unique_ptr<Stage>> BuildStage(const JobSpec& job, const ModelLayout& layout,
                                                  const Plan& plan, int index,
                                                  kernels::Backend* backend) {
  const StagePlan& mine = plan.stages(index);
  return Stage::Create(backend, backend->NewStream(),
                       {.model = &job.model(),
                        .layout = &layout,
                        .first_unit = mine.first_unit(),
                        .end_unit = mine.end_unit(),
                        .capacity = CapacityOf(job, mine.slots(), plan.segments())});
}

// Trains until a step is refused.
void RunUntilRefused(const JobSpec& job, const Plan& plan, int index, kernels::Backend* backend,
                     Transport* transport, Ending* ending) {
  const ModelLayout layout = LayOut(job.model());
  const BatchReader reader = *OpenTrainingData(job);
  const std::unique_ptr<Stage> stage = *BuildStage(job, layout, plan, index, backend);
  stage->Initialize(job.numerics().seed());
  const std::unique_ptr<Executor> executor = *Executor::Create({.job = &job,
                                                                .layout = &layout,
                                                                .plan = &plan,
                                                                .stage_index = index,
                                                                .stage = stage.get(),
                                                                .transport = transport,
                                                                .reader = &reader});
  for (; ending->step < job.steps(); ++ending->step) {
    ending->before = *executor->optimizer().UnitDigests();
    const absl::StatusOr<StepDecision> decision = executor->RunStep(ending->step, {});
    ASSERT_TRUE(decision.ok()) << decision.status();
    if (decision->apply) continue;
    ending->reason = decision->reason;
    break;
  }
  ending->after = *executor->optimizer().UnitDigests();
}

class RefusedStepTest : public ::testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Backends, RefusedStepTest, ::testing::Values("cpu", "test"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(RefusedStepTest, IsAppliedByNoStageAndNamedAlikeByAll) {
  JobSpec job = SmallJob({{"", "learning_rate.shape", "constant"}});
  job.mutable_learning_rate()->set_warmup_steps(0);
  job.mutable_learning_rate()->set_peak(1e30);
  const Plan plan = SmallPlan(job, {"loopback", "loopback"});
  std::unique_ptr<kernels::Backend> backends[] = {*kernels::NewBackend(GetParam(), 1),
                                                  *kernels::NewBackend(GetParam(), 1)};
  const auto transports = NewLoopbackTransports({backends[0].get(), backends[1].get()});

  Ending endings[2];
  std::thread other(
      [&] { RunUntilRefused(job, plan, 1, backends[1].get(), transports[1].get(), &endings[1]); });
  RunUntilRefused(job, plan, 0, backends[0].get(), transports[0].get(), &endings[0]);
  other.join();

  for (const Ending& ending : endings) {
    EXPECT_EQ(ending.step, 1) << "the first step is still finite";
    EXPECT_THAT(ending.reason, ::testing::HasSubstr("unit "));
    EXPECT_EQ(ending.reason, endings[0].reason);
    EXPECT_EQ(ending.after, ending.before) << "no bit of the state has changed";
  }
}

}  // namespace
}  // namespace carousel
