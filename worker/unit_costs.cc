#include "worker/unit_costs.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>

#include "cluster/status_macros.h"
#include "worker/job_terms.h"
#include "worker/micro_batch_inputs.h"
#include "worker/stage.h"

namespace carousel {
namespace {

constexpr int kRounds = 3;  // counted, after one that is not

double MedianSeconds(Stage& stage, const std::function<void()>& run) {
  std::vector<double> seconds;
  for (int round = 0; round <= kRounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    run();
    (void)stage.backend().Record(stage.stream()).Wait();
    if (round > 0)
      seconds.push_back(
          std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(seconds.begin(), seconds.end());
  return seconds[kRounds / 2];
}

absl::StatusOr<UnitCost> MeasureUnit(const JobSpec& job, const ModelLayout& layout, int unit,
                                     kernels::Backend* backend, MicroBatch rows) {
  const kernels::OwnedStream owned(backend);
  const kernels::Stream stream = owned.get();
  const StageOptions options = {.model = &job.model(),
                                .layout = &layout,
                                .first_unit = unit,
                                .end_unit = unit + 1,
                                .capacity = CapacityOf(job, 1, 1)};
  CAROUSEL_ASSIGN_OR_RETURN(std::unique_ptr<Stage> stage, Stage::Create(backend, stream, options));
  stage->Initialize(job.numerics().seed());
  CAROUSEL_ASSIGN_OR_RETURN(MicroBatchInputs inputs,
                            MicroBatchInputs::Create(backend, stream, options.capacity, 1));
  inputs.Load(0, std::move(rows));
  const Segment segment = inputs.At(0, 0);
  // Values do not matter to the time, but zeros would make everything easier than it is.
  for (const kernels::Span& x : {stage->Input(segment), stage->OutputGradient(segment)}) {
    if (x.size() > 0)
      backend->Enqueue(stream, kernels::RandomInit{
                                   .kind = kernels::InitKind::kNormal, .a = 1, .seed = 1, .x = x});
  }
  UnitCost cost;
  cost.set_forward(MedianSeconds(*stage, [&] { stage->Forward(segment); }));
  cost.set_backward(MedianSeconds(*stage, [&] { stage->BackwardInput(segment); }));
  cost.set_weight_gradient(MedianSeconds(*stage, [&] { stage->BackwardWeight(segment); }));
  return cost;
}

}  // namespace

absl::StatusOr<std::vector<UnitCost>> MeasureUnitCosts(const JobSpec& job,
                                                       kernels::Backend* backend) {
  const ModelLayout layout = LayOut(job.model());
  CAROUSEL_ASSIGN_OR_RETURN(const BatchReader reader, OpenTrainingData(job));
  std::map<UnitKind, UnitCost> by_kind;
  std::vector<UnitCost> costs;
  for (size_t unit = 0; unit < layout.units.size(); ++unit) {
    const UnitKind kind = layout.units[unit].kind;
    if (by_kind.count(kind) == 0) {
      CAROUSEL_ASSIGN_OR_RETURN(MicroBatch rows,
                                ReadMicroBatch(reader, job, /*step=*/0, /*index=*/0));
      CAROUSEL_ASSIGN_OR_RETURN(by_kind[kind], MeasureUnit(job, layout, static_cast<int>(unit),
                                                           backend, std::move(rows)));
    }
    costs.push_back(by_kind[kind]);
  }
  return costs;
}

}  // namespace carousel
