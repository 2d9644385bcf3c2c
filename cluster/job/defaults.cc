#include "cluster/job/defaults.h"

#include <algorithm>
#include <string>
#include <vector>

#include "cluster/job/presets.h"

namespace carousel {
namespace {

// X(message, field, value): sets message->field to value unless it is set.
#define CAROUSEL_DEFAULT(message, field, value) \
  if (!(message)->has_##field()) (message)->set_##field(value)

// The values that the job's model sets stand over the preset's.
void ApplyPreset(JobDraft* draft) {
  ModelSpec* model = draft->job.mutable_model();
  if (!model->has_preset()) return;
  const std::string name = model->preset();
  const Place place = draft->places.Find("model.preset");
  const Preset* preset = FindPreset(name);
  if (preset == nullptr) {
    std::vector<std::string> names;
    std::string list;
    for (const Preset& known : Presets()) {
      names.push_back(known.name);
      list += (list.empty() ? "" : ", ") + known.name;
    }
    const std::string nearest = DidYouMean(name, names);
    draft->faults.Add(place, "model.preset", "there is no preset " + Quoted(name),
                      nearest.empty() ? "known: " + list : nearest);
    return;
  }
  if (model->has_family() && model->family() != preset->model.family()) {
    draft->faults.Add(draft->places.Find("model.family"), "model.family",
                      "differs from the family of preset " + Quoted(preset->name),
                      "remove it, or choose another preset");
    return;
  }
  ModelSpec merged = preset->model;
  if (draft->places.Has("model.slstm_at") || model->slstm_at_size() > 0) merged.clear_slstm_at();
  merged.MergeFrom(*model);
  merged.clear_preset();
  *model = merged;
}

void FillModel(ModelSpec* model) {
  CAROUSEL_DEFAULT(model, num_heads, 4);
  CAROUSEL_DEFAULT(model, tie_embeddings, false);
  if (model->family() == XLSTM) {
    CAROUSEL_DEFAULT(model, slstm_num_heads, 4);
    CAROUSEL_DEFAULT(model, slstm_ffn_factor, 1.3);
    CAROUSEL_DEFAULT(model, mlstm_proj_factor, 2);
  } else if (model->family() == XLSTM_LARGE) {
    CAROUSEL_DEFAULT(model, qk_dim_factor, 0.5);
    CAROUSEL_DEFAULT(model, ffn_factor, 2.667);
    CAROUSEL_DEFAULT(model, gate_soft_cap, 15);
    CAROUSEL_DEFAULT(model, output_logit_soft_cap, 30);
    CAROUSEL_DEFAULT(model, igate_bias_init, -10);
  }
}

void FillData(DataSpec* data) {
  CAROUSEL_DEFAULT(data, shuffle_seed, 0);
  CAROUSEL_DEFAULT(data, reset_at_document_boundaries, true);
  if (!data->has_synthetic()) return;
  SyntheticData* synthetic = data->mutable_synthetic();
  CAROUSEL_DEFAULT(synthetic, seed, 0);
  CAROUSEL_DEFAULT(synthetic, tokens, 1'000'000);
  CAROUSEL_DEFAULT(synthetic, mean_document_length, 256);
}

void FillOptimizer(OptimizerSpec* optimizer) {
  CAROUSEL_DEFAULT(optimizer, beta1, 0.9);
  CAROUSEL_DEFAULT(optimizer, beta2, 0.95);
  CAROUSEL_DEFAULT(optimizer, epsilon, 1e-5);
  CAROUSEL_DEFAULT(optimizer, weight_decay, 0.1);
  CAROUSEL_DEFAULT(optimizer, weight_decay_rule, NXAI);
  CAROUSEL_DEFAULT(optimizer, clip_norm, 1);
}

void FillLearningRate(int64_t steps, LearningRateSpec* rate) {
  CAROUSEL_DEFAULT(rate, shape, COSINE);
  CAROUSEL_DEFAULT(rate, warmup_steps, std::clamp<int64_t>(steps / 16, 0, 750));
  if (rate->shape() != CONSTANT) CAROUSEL_DEFAULT(rate, final_factor, 0.1);
  if (rate->shape() == EXPONENTIAL) CAROUSEL_DEFAULT(rate, cooldown_steps, 0);
}

// The largest size that leaves four micro-batches and a whole number of them to each leaf.
int64_t DefaultMicroBatch(int64_t batch, int64_t leaves) {
  for (int64_t size = batch / 4; size > 1; --size) {
    if (batch % size == 0 && (batch / size) % leaves == 0) return size;
  }
  return 1;
}

void FillNumerics(const DataSpec& data, NumericsSpec* numerics) {
  CAROUSEL_DEFAULT(numerics, dtype, F32);
  CAROUSEL_DEFAULT(numerics, chunk_length, 64);
  CAROUSEL_DEFAULT(numerics, max_replicas, 1);
  CAROUSEL_DEFAULT(numerics, seed, 0);
  CAROUSEL_DEFAULT(numerics, kernel_version, kKernelVersion);
  // Beyond this a batch is refused anyway, and the search would be long.
  constexpr int64_t kSearched = 1 << 20;
  if (data.batch_size() > 0 && data.batch_size() <= kSearched) {
    CAROUSEL_DEFAULT(
        numerics, micro_batch_size,
        DefaultMicroBatch(data.batch_size(), GradientLeaves(numerics->max_replicas())));
  }
}

void FillPipeline(PipelineSpec* pipeline) {
  CAROUSEL_DEFAULT(pipeline, stages, 0);
  CAROUSEL_DEFAULT(pipeline, schedule, SCHEDULE_KIND_UNSPECIFIED);
  CAROUSEL_DEFAULT(pipeline, segments, 0);
}

void FillCheckpoint(CheckpointSpec* checkpoint) {
  CAROUSEL_DEFAULT(checkpoint, every_steps, 0);
  CAROUSEL_DEFAULT(checkpoint, every_seconds, checkpoint->every_steps() > 0 ? 0 : 600);
  CAROUSEL_DEFAULT(checkpoint, keep, 3);
}

#undef CAROUSEL_DEFAULT

}  // namespace

void FillDefaults(JobDraft* draft) {
  JobSpec& job = draft->job;
  ApplyPreset(draft);
  FillModel(job.mutable_model());
  FillData(job.mutable_data());
  FillOptimizer(job.mutable_optimizer());
  FillLearningRate(job.steps(), job.mutable_learning_rate());
  FillNumerics(job.data(), job.mutable_numerics());
  FillPipeline(job.mutable_pipeline());
  FillCheckpoint(job.mutable_checkpoint());
}

}  // namespace carousel
