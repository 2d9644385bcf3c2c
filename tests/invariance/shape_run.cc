#include "tests/invariance/shape_run.h"

#include <memory>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cluster/status_macros.h"
#include "coordinator/planner.h"
#include "coordinator/verifier.h"
#include "worker/executor.h"
#include "worker/job_terms.h"
#include "worker/local_trainer.h"
#include "worker/loopback_transport.h"

namespace carousel {
namespace {

using Backends = std::vector<std::unique_ptr<kernels::Backend>>;

std::unique_ptr<kernels::Backend> NewBackend(const Shape& shape) {
  return shape.test_backend ? kernels::NewTestBackend(shape.isa, shape.threads)
                            : kernels::NewCpuBackend(shape.isa, shape.threads);
}

absl::StatusOr<std::string> RunReference(const JobSpec& job, const Shape& shape) {
  const std::unique_ptr<kernels::Backend> backend = NewBackend(shape);
  CAROUSEL_ASSIGN_OR_RETURN(std::unique_ptr<LocalTrainer> trainer,
                            LocalTrainer::Create(job, backend.get()));
  while (trainer->step() < job.steps()) CAROUSEL_RETURN_IF_ERROR(trainer->Step().status());
  CAROUSEL_ASSIGN_OR_RETURN(const Digest digest, trainer->StateDigest());
  return digest.Hex();
}

absl::StatusOr<Plan> PlanOf(const JobSpec& job, const Shape& shape) {
  PlanRequest request;
  request.job = "invariance";
  request.epoch = 1;
  request.spec = job;
  request.costs.resize(LayOut(job.model()).units.size());
  for (UnitCost& cost : request.costs) {
    cost.set_forward(1);
    cost.set_backward(1);
    cost.set_weight_gradient(1);
  }
  for (int stage = 0; stage < shape.stages; ++stage)
    request.workers.push_back({absl::StrCat("w", stage), "loopback"});
  CAROUSEL_ASSIGN_OR_RETURN(Plan plan, MakePlan(request));
  if (shape.credits > 0) plan.set_credits(shape.credits);
  CAROUSEL_RETURN_IF_ERROR(VerifyPlan(plan, static_cast<int>(request.costs.size())));
  return plan;
}

// One stage, all its steps. Its units' digests after the last.
absl::StatusOr<std::vector<Digest>> RunStage(const JobSpec& job, const Plan& plan, int index,
                                             kernels::Backend* backend, Transport* transport) {
  const ModelLayout layout = LayOut(job.model());
  const StagePlan& mine = plan.stages(index);
  CAROUSEL_ASSIGN_OR_RETURN(const BatchReader reader, OpenTrainingData(job));
  CAROUSEL_ASSIGN_OR_RETURN(
      std::unique_ptr<Stage> stage,
      Stage::Create(backend, backend->NewStream(),
                    {.model = &job.model(),
                     .layout = &layout,
                     .first_unit = mine.first_unit(),
                     .end_unit = mine.end_unit(),
                     .capacity = CapacityOf(job, mine.slots(), plan.segments())}));
  stage->Initialize(job.numerics().seed());
  CAROUSEL_ASSIGN_OR_RETURN(std::unique_ptr<Executor> executor,
                            Executor::Create({.job = &job,
                                              .layout = &layout,
                                              .plan = &plan,
                                              .stage_index = index,
                                              .stage = stage.get(),
                                              .transport = transport,
                                              .reader = &reader}));
  executor->ShareTiedMatrix(0);
  for (int64_t step = 0; step < job.steps(); ++step) {
    CAROUSEL_ASSIGN_OR_RETURN(const StepDecision decision, executor->RunStep(step, {}));
    if (!decision.apply) return absl::AbortedError(decision.reason);
  }
  return executor->optimizer().UnitDigests();
}

absl::StatusOr<std::string> RunPipeline(const JobSpec& job, const Shape& shape) {
  CAROUSEL_ASSIGN_OR_RETURN(const Plan plan, PlanOf(job, shape));
  Backends backends;
  std::vector<kernels::Backend*> borrowed;
  for (int stage = 0; stage < shape.stages; ++stage) {
    backends.push_back(NewBackend(shape));
    borrowed.push_back(backends.back().get());
  }
  const std::vector<std::unique_ptr<Transport>> transports =
      NewLoopbackTransports(borrowed, plan.credits());
  std::vector<absl::StatusOr<std::vector<Digest>>> results(shape.stages);
  std::vector<std::thread> threads;
  for (int stage = 0; stage < shape.stages; ++stage) {
    threads.emplace_back([&, stage] {
      results[stage] = RunStage(job, plan, stage, borrowed[stage], transports[stage].get());
      if (!results[stage].ok()) transports[stage]->Abort(results[stage].status());
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::vector<Digest> units;
  for (const auto& result : results) {
    CAROUSEL_RETURN_IF_ERROR(result.status());
    units.insert(units.end(), result->begin(), result->end());
  }
  return StateDigest(units, job.steps(), job.steps() * job.data().batch_size()).Hex();
}

}  // namespace

std::string Shape::ToString() const {
  const char* path = isa == kernels::Isa::kAvx512 ? "avx512"
                     : isa == kernels::Isa::kAvx2 ? "avx2"
                                                  : "scalar";
  return absl::StrFormat(
      "%-12s %-5s s=%d t=%d %-6s %s%s",
      stages == 0 ? "train_local" : absl::StrCat(stages, stages == 1 ? " stage" : " stages"),
      stages == 0         ? "-"
      : schedule == GPIPE ? "gpipe"
                          : "1f1b",
      segments, threads, path, test_backend ? "test" : "cpu",
      credits > 0 ? absl::StrCat(" credits=", credits) : "");
}

absl::StatusOr<std::string> RunInShape(const JobSpec& job, const Shape& shape) {
  JobSpec wished = job;
  wished.mutable_pipeline()->set_segments(shape.segments);
  if (shape.stages == 0) return RunReference(wished, shape);
  wished.mutable_pipeline()->set_stages(shape.stages);
  wished.mutable_pipeline()->set_schedule(shape.schedule);
  return RunPipeline(wished, shape);
}

}  // namespace carousel
