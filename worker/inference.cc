#include "worker/inference.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cluster/data/dataset.h"
#include "cluster/data/tokenizer.h"
#include "cluster/status_macros.h"
#include "worker/job_terms.h"
#include "worker/micro_batch_inputs.h"
#include "worker/sampler.h"
#include "worker/shard_exchange.h"

namespace carousel {

using kernels::DType;

namespace {

// The whole model as one stage, restored from a manifest.
struct Model {
  explicit Model(kernels::Backend* backend) : stream(backend) {}
  const kernels::OwnedStream stream;
  ModelLayout layout;
  std::unique_ptr<Stage> stage;
};

absl::Status CheckWanted(const InferenceParts& parts) {
  if (parts.cancelled && parts.cancelled()) return absl::CancelledError("the caller left");
  return absl::OkStatus();
}

template <typename Request>
absl::StatusOr<std::unique_ptr<Model>> LoadModel(const Request& request,
                                                 const StageCapacity& capacity,
                                                 const InferenceParts& parts) {
  auto model = std::make_unique<Model>(parts.backend);
  model->layout = LayOut(request.spec().model());
  const StageOptions options = {.model = &request.spec().model(),
                                .layout = &model->layout,
                                .first_unit = 0,
                                .end_unit = static_cast<int>(model->layout.units.size()),
                                .capacity = capacity};
  CAROUSEL_ASSIGN_OR_RETURN(model->stage,
                            Stage::Create(parts.backend, model->stream.get(), options));
  CAROUSEL_RETURN_IF_ERROR(RestoreStage(*model->stage, *parts.shards, request.manifest(),
                                        request.holders(), {.cancelled = parts.cancelled}));
  return model;
}

// The job, on the dataset that the request names, if it does.
JobSpec JobOf(const WorkerEvaluateRequest& request) {
  JobSpec job = request.spec();
  if (request.request().dataset().empty()) return job;
  job.mutable_data()->clear_synthetic();
  job.mutable_data()->set_dataset(request.request().dataset());
  return job;
}

// The held-out blocks of its dataset, which is the one that it was trained on or `another`.
absl::StatusOr<BatchReader> OpenHeldOut(const JobSpec& job, bool another) {
  const auto opened = Dataset::Open(job.data());
  if (!another && absl::IsNotFound(opened.status())) {
    return absl::NotFoundError(absl::StrCat(
        opened.status().message(),
        "; if the job's dataset lies elsewhere now, name the place with --dataset DIR"));
  }
  CAROUSEL_ASSIGN_OR_RETURN(std::shared_ptr<const Dataset> dataset, opened);
  CAROUSEL_RETURN_IF_ERROR(another ? CheckVocabulary(*dataset, job) : CheckDataset(*dataset, job));
  return BatchReader::ForEvaluation(std::move(dataset), job.data());
}

// Whether the model's tokens are text: kFailedPrecondition if they are not.
absl::Status CheckTokensAreText(const JobSpec& job) {
  CAROUSEL_RETURN_IF_ERROR(CheckTokensAreBytes(job.data()));
  if (job.model().vocab_size() >= ByteTokenizer::kVocabulary) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "model.vocab_size: ", job.model().vocab_size(), " tokens are fewer than the ",
      ByteTokenizer::kVocabulary, " of text in bytes: this model was trained on other tokens"));
}

EvaluateProgress ProgressOf(int64_t step, double loss_sum, int64_t tokens, int64_t bytes,
                            int64_t total) {
  EvaluateProgress progress;
  const double loss = tokens > 0 ? loss_sum / static_cast<double>(tokens) : 0;
  progress.set_step(step);
  progress.set_tokens(tokens);
  progress.set_total_tokens(total);
  progress.set_loss(loss);
  progress.set_perplexity(std::exp(loss));
  if (bytes > 0) {
    progress.set_bits_per_byte(loss_sum / static_cast<double>(bytes) / std::numbers::ln2);
  }
  return progress;
}

}  // namespace

absl::Status EvaluateCheckpoint(const WorkerEvaluateRequest& request, const InferenceParts& parts,
                                const std::function<bool(const EvaluateProgress&)>& progress) {
  const JobSpec job = JobOf(request);
  const bool another = !request.request().dataset().empty();
  CAROUSEL_ASSIGN_OR_RETURN(const BatchReader reader, OpenHeldOut(job, another));
  StageCapacity capacity = CapacityOf(job, /*slots=*/1, /*segments=*/1);
  capacity.backward = false;
  CAROUSEL_ASSIGN_OR_RETURN(const std::unique_ptr<Model> model,
                            LoadModel(request, capacity, parts));
  Stage& stage = *model->stage;
  CAROUSEL_ASSIGN_OR_RETURN(MicroBatchInputs inputs,
                            MicroBatchInputs::Create(parts.backend, stage.stream(), capacity, 1));

  const int64_t limit =
      request.request().max_tokens() > 0 ? request.request().max_tokens() : INT64_MAX;
  const int64_t total = std::min(limit, reader.windows() * job.data().sequence_length());
  int64_t tokens = 0, bytes = 0;
  double loss = 0;
  stage.ResetStepCounters();
  for (int64_t first = 0; first < reader.windows() && tokens < limit; first += capacity.batch) {
    MicroBatch batch;
    CAROUSEL_RETURN_IF_ERROR(ReadSequences(reader, first, capacity.batch, &batch));
    tokens += batch.predicted;
    bytes += batch.predicted_bytes;
    CAROUSEL_RETURN_IF_ERROR(inputs.Load(0, std::move(batch)));
    stage.Forward(inputs.At(0, 0));
    CAROUSEL_ASSIGN_OR_RETURN(loss, stage.LossSum());
    if (!progress(ProgressOf(request.manifest().step(), loss, tokens, bytes, total)))
      return absl::OkStatus();
  }
  EvaluateProgress last = ProgressOf(request.manifest().step(), loss, tokens, bytes, tokens);
  last.set_done(true);
  progress(last);
  return absl::OkStatus();
}

absl::Status GenerateText(const WorkerGenerateRequest& request, const InferenceParts& parts,
                          const std::function<bool(const std::string&)>& text) {
  const JobSpec& job = request.spec();
  CAROUSEL_RETURN_IF_ERROR(CheckTokensAreText(job));
  // One step of one sequence at a time; two borders, because a step reads one and writes the other.
  StageCapacity capacity = CapacityOf(job, 1, 1);
  capacity.sequence_length = 1;
  capacity.batch = 1;
  capacity.borders = 2;
  capacity.backward = false;
  CAROUSEL_ASSIGN_OR_RETURN(const std::unique_ptr<Model> model,
                            LoadModel(request, capacity, parts));
  kernels::Backend* const backend = parts.backend;
  Stage& stage = *model->stage;
  CAROUSEL_ASSIGN_OR_RETURN(const kernels::Buffer token_memory, backend->Allocate(sizeof(int32_t)));
  CAROUSEL_ASSIGN_OR_RETURN(const kernels::Buffer reset_memory, backend->Allocate(1));

  const std::string& prompt = request.request().prompt();
  // The separator stands before every document but the first.
  std::vector<int32_t> pending(prompt.size() + 1, ByteTokenizer::kSeparator);
  ByteTokenizer::Encode(prompt, pending.data() + 1);
  std::vector<float> logits(job.model().vocab_size());
  Segment segment = {.steps = 1, .batch = 1, .last = false};
  segment.tokens = token_memory.As(DType::kI32).Slice(0, 1);
  segment.resets = reset_memory.As(DType::kU8).Slice(0, 1);
  int64_t generated = 0;
  for (size_t next = 0; next < pending.size(); ++next) {
    CAROUSEL_RETURN_IF_ERROR(CheckWanted(parts));
    const uint8_t reset = segment.index == 0 ? 1 : 0;
    backend->CopyToDevice(stage.stream(), &pending[next], segment.tokens);
    backend->CopyToDevice(stage.stream(), &reset, segment.resets);
    stage.Forward(segment);
    backend->CopyToHost(stage.stream(), stage.head()->logits(segment), logits.data());
    CAROUSEL_RETURN_IF_ERROR(backend->Record(stage.stream()).Wait());
    ++segment.index;
    if (next + 1 < pending.size()) continue;  // still in the prompt
    if (generated == request.request().max_tokens()) break;
    const int32_t token =
        SampleToken(logits, job.model().output_logit_soft_cap(), request.request().temperature(),
                    request.request().seed(), generated++);
    if (token >= ByteTokenizer::kSeparator) break;
    if (!text(std::string(1, static_cast<char>(token)))) break;
    pending.push_back(token);
  }
  return absl::OkStatus();
}

}  // namespace carousel
