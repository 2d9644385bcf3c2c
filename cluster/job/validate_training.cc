#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "cluster/counted.h"
#include "cluster/data/data_limits.h"
#include "cluster/data/tokenizer.h"
#include "cluster/job/field_checks.h"
#include "cluster/job/job_limits.h"
#include "cluster/job/scalars.h"
#include "cluster/job/segments.h"
#include "cluster/job/validate.h"

namespace carousel {
namespace {

constexpr int64_t kMaxBatch = 1 << 20;
constexpr int64_t kMaxMicroBatchTokens = 1 << 24;
constexpr int64_t kMaxJobTokens = int64_t{1} << 60;
constexpr int64_t kMaxChunk = 1024;
constexpr int64_t kMaxReplicas = 1024;
constexpr int64_t kMaxKept = 1000;
constexpr size_t kMaxPath = 4096;
constexpr double kMaxSeconds = 30 * 86400.0;

bool IsJobName(std::string_view name) {
  return !name.empty() && name.size() <= 63 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

constexpr std::string_view kDatasetMakers = "`carousel data build` or `carousel data import`";

class TrainingValidator {
 public:
  explicit TrainingValidator(JobDraft* draft) : job_(draft->job), checks_(draft) {}

  void Validate(bool blocks_are_known) {
    CheckName();
    steps_ok_ = checks_.Integer("steps", job_.has_steps(), job_.steps(), 1, kMaxSteps);
    CheckData();
    CheckOptimizer();
    CheckLearningRate();
    CheckNumerics();
    CheckAmounts();
    CheckPipeline(blocks_are_known);
    CheckCheckpoint();
  }

 private:
  void CheckName() {
    constexpr std::string_view kRule = "use 1 to 63 of a-z, 0-9 and -";
    if (!job_.has_name()) return checks_.Missing("name", kRule);
    if (!IsJobName(job_.name())) {
      checks_.Add("name", Quoted(job_.name()) + " cannot be a job's name", kRule);
    }
  }

  void CheckData() {
    const DataSpec& data = job_.data();
    if (data.has_dataset() && data.has_synthetic()) {
      checks_.Add("data", "has two sources, dataset and synthetic",
                  "keep one of them, or replace the file's: --set data.dataset=DIR or --set "
                  "data.synthetic={}");
    } else if (!data.has_dataset() && !data.has_synthetic()) {
      checks_.Add("data", "has no source",
                  "set exactly one of data.dataset (a folder that " + std::string(kDatasetMakers) +
                      " wrote) and data.synthetic");
    }
    if (data.has_dataset() && (data.dataset().empty() || data.dataset().size() > kMaxPath)) {
      checks_.Add("data.dataset",
                  data.dataset().empty()
                      ? "is empty"
                      : "is longer than the limit of " + std::to_string(kMaxPath) + " bytes",
                  "name the folder that " + std::string(kDatasetMakers) + " wrote");
    }
    sequence_ok_ = checks_.Integer("data.sequence_length", data.has_sequence_length(),
                                   data.sequence_length(), 1, kMaxSequenceLength);
    batch_ok_ =
        checks_.Integer("data.batch_size", data.has_batch_size(), data.batch_size(), 1, kMaxBatch);
    checks_.Integer("data.shuffle_seed", true, data.shuffle_seed(), 0, INT64_MAX);
    if (data.has_synthetic()) CheckSynthetic(data.synthetic());
  }

  void CheckSynthetic(const SyntheticData& synthetic) {
    checks_.Integer("data.synthetic.seed", true, synthetic.seed(), 0, INT64_MAX);
    checks_.Integer("data.synthetic.mean_document_length", true, synthetic.mean_document_length(),
                    kMinSyntheticDocument, kMaxSequenceLength);
    const ModelSpec& model = job_.model();
    if (model.has_vocab_size() && model.vocab_size() < ByteTokenizer::kVocabulary) {
      checks_.Add("model.vocab_size", std::to_string(model.vocab_size()) +
                                          " is below the vocabulary of the synthetic data, " +
                                          std::to_string(ByteTokenizer::kVocabulary));
    }
    if (checks_.Integer("data.synthetic.tokens", true, synthetic.tokens(), kMinSyntheticTokens,
                        kMaxSyntheticTokens) &&
        sequence_ok_ && synthetic.tokens() <= job_.data().sequence_length()) {
      checks_.Add("data.synthetic.tokens",
                  std::to_string(synthetic.tokens()) +
                      " do not fill one window of data.sequence_length + 1 = " +
                      std::to_string(job_.data().sequence_length() + 1));
    }
  }

  void CheckOptimizer() {
    const OptimizerSpec& optimizer = job_.optimizer();
    constexpr double kBelowOne = 1 - 1e-9;
    checks_.Number("optimizer.beta1", true, optimizer.beta1(), 0, kBelowOne);
    checks_.Number("optimizer.beta2", true, optimizer.beta2(), 0, kBelowOne);
    checks_.Above("optimizer.epsilon", true, optimizer.epsilon(), 0, 1);
    checks_.Number("optimizer.weight_decay", true, optimizer.weight_decay(), 0, 10);
    checks_.Number("optimizer.clip_norm", true, optimizer.clip_norm(), 0, 1e6);
    if (optimizer.weight_decay_rule() != NXAI && optimizer.weight_decay_rule() != KERNEL_ONLY) {
      checks_.Add("optimizer.weight_decay_rule", "is not set", "write nxai or kernel-only");
    }
  }

  void CheckLearningRate() {
    const LearningRateSpec& rate = job_.learning_rate();
    checks_.Above("learning_rate.peak", rate.has_peak(), rate.peak(), 0, 10);
    const bool warmup_ok =
        checks_.Integer("learning_rate.warmup_steps", true, rate.warmup_steps(), 0, kMaxSteps);
    const bool constant = rate.shape() == CONSTANT, exponential = rate.shape() == EXPONENTIAL;
    if (!constant && !exponential && rate.shape() != COSINE) {
      checks_.Add("learning_rate.shape", "is not set", "write cosine, exponential or constant");
    }
    if (constant && rate.has_final_factor()) {
      checks_.Add("learning_rate.final_factor", "has no meaning in a constant schedule",
                  "remove it, or choose the shape cosine or exponential");
    } else if (exponential) {
      checks_.Above("learning_rate.final_factor", true, rate.final_factor(), 0, 1);
    } else {
      checks_.Number("learning_rate.final_factor", true, rate.final_factor(), 0, 1);
    }
    if (!exponential && rate.has_cooldown_steps()) {
      checks_.Add("learning_rate.cooldown_steps", "has a meaning in an exponential schedule only",
                  "remove it, or choose the shape exponential");
    }
    const bool cooldown_ok =
        checks_.Integer("learning_rate.cooldown_steps", true, rate.cooldown_steps(), 0, kMaxSteps);
    if (steps_ok_ && warmup_ok) CheckPhases(rate, exponential && cooldown_ok);
  }

  void CheckPhases(const LearningRateSpec& rate, bool has_cooldown) {
    const std::string steps = checks_.Origin("steps", std::to_string(job_.steps()));
    if (rate.warmup_steps() >= job_.steps()) {
      checks_.Add("learning_rate.warmup_steps",
                  std::to_string(rate.warmup_steps()) + " must be below steps, " + steps,
                  "lower it, or leave it out: the default follows steps");
    } else if (has_cooldown && rate.warmup_steps() + rate.cooldown_steps() >= job_.steps()) {
      checks_.Add("learning_rate.cooldown_steps",
                  std::to_string(rate.cooldown_steps()) + " and warmup_steps, " +
                      std::to_string(rate.warmup_steps()) + ", must stay below steps, " + steps);
    }
  }

  void CheckNumerics() {
    const NumericsSpec& numerics = job_.numerics();
    if (numerics.dtype() != F32) checks_.Add("numerics.dtype", "is not set", "write f32");
    chunk_ok_ =
        checks_.Integer("numerics.chunk_length", true, numerics.chunk_length(), 1, kMaxChunk);
    checks_.Integer("numerics.seed", true, numerics.seed(), 0, INT64_MAX);
    if (numerics.kernel_version() != kKernelVersion) {
      checks_.Add("numerics.kernel_version",
                  std::to_string(numerics.kernel_version()) + " is not this build's version, " +
                      std::to_string(kKernelVersion),
                  "leave it out; a job of another version needs the build that wrote it");
    }
    const bool replicas_ok =
        checks_.Integer("numerics.max_replicas", true, numerics.max_replicas(), 1, kMaxReplicas);
    if (!batch_ok_ && !numerics.has_micro_batch_size()) return;  // its default follows the batch
    micro_batch_ok_ = checks_.Integer("numerics.micro_batch_size", numerics.has_micro_batch_size(),
                                      numerics.micro_batch_size(), 1, kMaxBatch);
    micro_batches_ok_ = batch_ok_ && micro_batch_ok_ && CheckMicroBatch(numerics);
    if (micro_batches_ok_ && replicas_ok) CheckLeaves(numerics);
  }

  bool CheckMicroBatch(const NumericsSpec& numerics) {
    const int64_t batch = job_.data().batch_size(), size = numerics.micro_batch_size();
    if (batch % size == 0) return true;
    if (checks_.Blamed({"numerics.micro_batch_size", "data.batch_size"}) == "data.batch_size") {
      checks_.Add("data.batch_size",
                  std::to_string(batch) + " is no multiple of numerics.micro_batch_size, " +
                      std::to_string(size),
                  NearestThatFit(batch, 1, kMaxBatch, [&](int64_t n) { return n % size == 0; }));
      return false;
    }
    checks_.Add("numerics.micro_batch_size",
                std::to_string(size) + " does not divide data.batch_size, " + std::to_string(batch),
                NearestThatFit(size, 1, batch, [&](int64_t n) { return batch % n == 0; }));
    return false;
  }

  void CheckLeaves(const NumericsSpec& numerics) {
    const int64_t micro_batches = MicroBatches(job_);
    const int64_t leaves = GradientLeaves(numerics.max_replicas());
    if (micro_batches % leaves == 0) return;
    int64_t fitting = leaves;
    while (micro_batches % fitting != 0) fitting /= 2;
    const int64_t more = (micro_batches / leaves + 1) * leaves * numerics.micro_batch_size();
    checks_.Add("numerics.max_replicas",
                std::to_string(numerics.max_replicas()) + " needs " + std::to_string(leaves) +
                    " gradient leaves, which do not divide the " + std::to_string(micro_batches) +
                    " micro-batches",
                "the nearest that work are max_replicas " + std::to_string(fitting) +
                    " or data.batch_size " + std::to_string(more));
  }

  // Products of fields, each within its own limits.
  void CheckAmounts() {
    if (!sequence_ok_) return;
    const int64_t sequence = job_.data().sequence_length();
    if (micro_batch_ok_ && sequence * job_.numerics().micro_batch_size() > kMaxMicroBatchTokens) {
      checks_.Add("numerics.micro_batch_size",
                  std::to_string(job_.numerics().micro_batch_size()) + " sequences of " +
                      std::to_string(sequence) + " tokens are above the limit of " +
                      Grouped(kMaxMicroBatchTokens) + " tokens to a micro-batch");
    }
    if (!batch_ok_) return;
    int64_t tokens = sequence * job_.data().batch_size();
    if (steps_ok_ &&
        (__builtin_mul_overflow(tokens, job_.steps(), &tokens) || tokens > kMaxJobTokens)) {
      checks_.Add("steps", checks_.Origin("steps", std::to_string(job_.steps())) +
                               " times batch_size times sequence_length is above the limit of 2^60 "
                               "tokens to a job");
    }
  }

  void CheckPipeline(bool blocks_are_known) {
    const PipelineSpec& pipeline = job_.pipeline();
    if (!ScheduleKind_IsValid(pipeline.schedule())) {
      checks_.Add("pipeline.schedule", std::to_string(pipeline.schedule()) + " is no schedule",
                  "write auto, gpipe or 1f1b");
    }
    if (checks_.Integer("pipeline.stages", true, pipeline.stages(), 0, 1 << 16) &&
        blocks_are_known && pipeline.stages() > UnitCount(job_.model())) {
      checks_.Add("pipeline.stages",
                  std::to_string(pipeline.stages()) + " are more than the model's " +
                      std::to_string(UnitCount(job_.model())) + " units (embedding, blocks, head)");
    }
    if (!checks_.Integer("pipeline.segments", true, pipeline.segments(), 0, kMaxSequenceLength))
      return;
    if (sequence_ok_ && chunk_ok_ && !CheckSegments()) return;
    if (micro_batches_ok_) CheckOperations();
  }

  bool CheckSegments() {
    const int64_t segments = job_.pipeline().segments();
    const int64_t chunks =
        ChunksPerSequence(job_.data().sequence_length(), job_.numerics().chunk_length());
    if (segments <= chunks) return true;
    checks_.Add("pipeline.segments",
                std::to_string(segments) + " are more than the " + std::to_string(chunks) +
                    " chunks of a sequence (sequence_length " +
                    std::to_string(job_.data().sequence_length()) + ", chunk_length " +
                    std::to_string(job_.numerics().chunk_length()) + ")",
                "a segment holds whole chunks");
    return false;
  }

  // A step's operations are one for each segment of each micro-batch, three times.
  void CheckOperations() {
    const int64_t micro_batches = MicroBatches(job_);
    const int64_t segments = std::max<int64_t>(1, job_.pipeline().segments());
    if (micro_batches <= kMaxStepSegments / segments) return;
    const bool too_many_anyway = micro_batches > kMaxStepSegments;
    checks_.Add(too_many_anyway ? "numerics.micro_batch_size" : "pipeline.segments",
                std::to_string(micro_batches) +
                    " micro-batches (data.batch_size / numerics.micro_batch_size) times " +
                    std::to_string(segments) + " pipeline.segments are above the limit of " +
                    Grouped(kMaxStepSegments) + " to a step",
                too_many_anyway ? "raise numerics.micro_batch_size, or lower data.batch_size"
                                : "the most segments that work are " +
                                      std::to_string(kMaxStepSegments / micro_batches));
  }

  void CheckCheckpoint() {
    const CheckpointSpec& checkpoint = job_.checkpoint();
    checks_.Integer("checkpoint.every_steps", true, checkpoint.every_steps(), 0, kMaxSteps);
    checks_.Integer("checkpoint.keep", true, checkpoint.keep(), 2, kMaxKept);
    if (checks_.Number("checkpoint.every_seconds", true, checkpoint.every_seconds(), 0,
                       kMaxSeconds) &&
        checkpoint.every_seconds() > 0 && checkpoint.every_seconds() < 1) {
      checks_.Add("checkpoint.every_seconds",
                  NumberText(checkpoint.every_seconds()) + " is below the least allowed, 1s",
                  "0 switches it off");
    }
  }

  const JobSpec& job_;
  FieldChecks checks_;
  bool steps_ok_ = false, sequence_ok_ = false, batch_ok_ = false, chunk_ok_ = false;
  bool micro_batch_ok_ = false;    // its size
  bool micro_batches_ok_ = false;  // and their number
};

}  // namespace

void ValidateTraining(JobDraft* draft, bool blocks_are_known) {
  TrainingValidator(draft).Validate(blocks_are_known);
}

}  // namespace carousel
