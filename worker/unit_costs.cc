#include "worker/unit_costs.h"

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

#include "cluster/status_macros.h"
#include "cluster/stopwatch.h"
#include "worker/job_terms.h"
#include "worker/micro_batch_inputs.h"
#include "worker/stage.h"

namespace carousel {
namespace {

constexpr int kRounds = 3;  // counted, after one that is not

using Cancelled = std::function<bool()>;

// One way through a unit, and how long it took each time.
class Timed {
 public:
  explicit Timed(std::function<void()> run) : run_(std::move(run)) {}

  absl::Status Run(Stage& stage, const Cancelled& cancelled) {
    if (cancelled && cancelled()) return absl::CancelledError("the measurement is not wanted");
    const Stopwatch stopwatch;
    run_();
    CAROUSEL_RETURN_IF_ERROR(stage.backend().Record(stage.stream()).Wait());
    seconds_.push_back(stopwatch.Seconds());
    return absl::OkStatus();
  }

  // Of the counted rounds.
  double Median() const {
    std::vector<double> counted(seconds_.begin() + 1, seconds_.end());
    std::sort(counted.begin(), counted.end());
    return counted[counted.size() / 2];
  }

 private:
  const std::function<void()> run_;
  std::vector<double> seconds_;
};

absl::StatusOr<UnitCost> MeasureUnit(const JobSpec& job, const ModelLayout& layout, int unit,
                                     kernels::Backend* backend, MicroBatch rows,
                                     const Cancelled& cancelled) {
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
  CAROUSEL_RETURN_IF_ERROR(inputs.Load(0, std::move(rows)));
  const Segment segment = inputs.At(0, 0);
  // Values do not matter to the time, but zeros would make everything easier than it is.
  for (const kernels::Span& x : {stage->Input(segment), stage->OutputGradient(segment)}) {
    if (x.size() > 0)
      backend->Enqueue(stream, kernels::RandomInit{
                                   .kind = kernels::InitKind::kNormal, .a = 1, .seed = 1, .x = x});
  }
  Timed forward([&] { stage->Forward(segment); });
  Timed backward([&] { stage->BackwardInput(segment); });
  Timed weight([&] { stage->BackwardWeight(segment); });
  // Always all three: backward overwrites what forward has left for it.
  for (int round = 0; round <= kRounds; ++round) {
    for (Timed* timed : {&forward, &backward, &weight})
      CAROUSEL_RETURN_IF_ERROR(timed->Run(*stage, cancelled));
  }
  UnitCost cost;
  cost.set_forward(forward.Median());
  cost.set_backward(backward.Median());
  cost.set_weight_gradient(weight.Median());
  return cost;
}

}  // namespace

absl::StatusOr<std::vector<UnitCost>> MeasureUnitCosts(const JobSpec& job,
                                                       kernels::Backend* backend,
                                                       const Cancelled& cancelled) {
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
                                                           backend, std::move(rows), cancelled));
    }
    costs.push_back(by_kind[kind]);
  }
  return costs;
}

}  // namespace carousel
