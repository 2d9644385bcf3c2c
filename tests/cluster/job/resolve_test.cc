#include "cluster/job/resolve.h"

#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cluster/job/job_file.h"

namespace carousel {
namespace {

using google::protobuf::util::MessageDifferencer;

constexpr const char* kSmall = R"(name: small
model: {preset: xlstm-tiny}
data:
  synthetic: {}
  sequence_length: 200
  batch_size: 16
learning_rate: {peak: 1e-3}
steps: 160
)";

absl::StatusOr<JobSpec> Resolve(const std::string& text,
                                const std::vector<std::string>& assignments = {},
                                const ResolveOptions& options = {}) {
  std::vector<Override> overrides;
  for (const std::string& assignment : assignments) {
    overrides.push_back(ParseOverride(assignment).value());
  }
  return ResolveJob(ParseJob(text, "job.yaml", overrides), options);
}

JobSpec Resolved(const std::vector<std::string>& assignments = {}) {
  const auto job = Resolve(kSmall, assignments);
  EXPECT_TRUE(job.ok()) << job.status();
  return job.value_or(JobSpec());
}

TEST(ResolveTest, EveryDefaultIsWrittenOut) {
  EXPECT_EQ(JobToYaml(Resolved()), R"(name: small
model:
  family: xlstm
  vocab_size: 288
  dim: 64
  num_blocks: 4
  num_heads: 4
  tie_embeddings: false
  slstm_at: [1]
  slstm_num_heads: 4
  slstm_ffn_factor: 1.3
  mlstm_proj_factor: 2
data:
  synthetic:
    seed: 0
    tokens: 1000000
    mean_document_length: 256
  sequence_length: 200
  batch_size: 16
  shuffle_seed: 0
  reset_at_document_boundaries: true
optimizer:
  beta1: 0.9
  beta2: 0.95
  epsilon: 1e-05
  weight_decay: 0.1
  weight_decay_rule: nxai
  clip_norm: 1
learning_rate:
  shape: cosine
  peak: 0.001
  warmup_steps: 10
  final_factor: 0.1
steps: 160
numerics:
  dtype: f32
  micro_batch_size: 4
  chunk_length: 64
  max_replicas: 1
  seed: 0
  kernel_version: 2
pipeline:
  stages: 0
  schedule: auto
  segments: 0
checkpoint:
  every_steps: 0
  every_seconds: 600
  keep: 3
)");
}

TEST(ResolveTest, AStepsListsHaveALimitThatNamesBothFields) {
  const auto at_limit = Resolve(
      kSmall, {"data.batch_size=32768", "numerics.micro_batch_size=1", "pipeline.segments=2"});
  const auto above = Resolve(
      kSmall, {"data.batch_size=32768", "numerics.micro_batch_size=1", "pipeline.segments=3"});

  EXPECT_TRUE(at_limit.ok()) << at_limit.status();
  EXPECT_NE(
      above.status().message().find(
          "pipeline.segments: 32768 micro-batches (data.batch_size / "
          "numerics.micro_batch_size) times 3 pipeline.segments are above the limit of 65,536 "
          "to a step; the most segments that work are 2"),
      absl::string_view::npos)
      << above.status();
}

TEST(ResolveTest, AResolvedJobResolvesToItselfAsTextAndAsMessage) {
  for (const std::string preset : {"xlstm-tiny", "xlstm-7B"}) {
    const JobSpec job = Resolved({"model.preset=" + preset});
    const auto from_text = Resolve(JobToYaml(job));
    ASSERT_TRUE(from_text.ok()) << from_text.status();
    EXPECT_TRUE(MessageDifferencer::Equals(job, *from_text));
    const auto from_message = ResolveJob(job);
    ASSERT_TRUE(from_message.ok()) << from_message.status();
    EXPECT_TRUE(MessageDifferencer::Equals(job, *from_message));
  }
}

TEST(ResolveTest, DefaultsFollowWhatTheyDependOn) {
  EXPECT_EQ(Resolved({"steps=6"}).learning_rate().warmup_steps(), 0);
  EXPECT_EQ(Resolved({"steps=1M"}).learning_rate().warmup_steps(), 750);
  EXPECT_EQ(Resolved({"data.batch_size=3"}).numerics().micro_batch_size(), 1);
  EXPECT_EQ(Resolved({"data.batch_size=24"}).numerics().micro_batch_size(), 6);
  // Eight leaves need eight micro-batches.
  EXPECT_EQ(Resolved({"numerics.max_replicas=5"}).numerics().micro_batch_size(), 2);
  EXPECT_EQ(Resolved({"checkpoint.every_steps=50"}).checkpoint().every_seconds(), 0);
}

TEST(ResolveTest, FieldsOfAnotherShapeStayUnset) {
  const JobSpec constant = Resolved({"learning_rate.shape=constant"});
  EXPECT_FALSE(constant.learning_rate().has_final_factor());
  const JobSpec exponential = Resolved({"learning_rate.shape=exponential"});
  EXPECT_TRUE(exponential.learning_rate().has_cooldown_steps());
  EXPECT_FALSE(Resolved({"model.preset=xlstm-large-tiny"}).model().has_slstm_num_heads());
}

TEST(ResolveTest, LeavesAreTheSmallestPowerOfTwoThatServesAllReplicas) {
  EXPECT_EQ(GradientLeaves(1), 1);
  EXPECT_EQ(GradientLeaves(2), 2);
  EXPECT_EQ(GradientLeaves(3), 4);
  EXPECT_EQ(GradientLeaves(1024), 1024);
}

constexpr const char* kOnDataset = R"(name: a
model: {preset: xlstm-tiny}
data: {dataset: words, sequence_length: 200, batch_size: 16}
learning_rate: {peak: 1e-3}
steps: 160
)";

TEST(ResolveTest, TheDatasetIsAskedAndItsDigestWrittenDown) {
  ResolveOptions options;
  std::string asked;
  options.probe_dataset = [&](const std::string& folder) -> absl::StatusOr<DatasetFacts> {
    asked = folder;
    return DatasetFacts{"c0ffee", 257, 1'000};
  };
  const auto job = Resolve(kOnDataset, {}, options);
  ASSERT_TRUE(job.ok()) << job.status();
  EXPECT_EQ(asked, "words");
  EXPECT_EQ(job->data().dataset_digest(), "c0ffee");
}

TEST(ResolveTest, ADatasetThatDoesNotFitIsRefused) {
  ResolveOptions options;
  DatasetFacts facts{"c0ffee", 50'257, 200};
  options.probe_dataset = [&](const std::string&) -> absl::StatusOr<DatasetFacts> { return facts; };
  EXPECT_EQ(
      Resolve(kOnDataset, {}, options).status().message(),
      "job.yaml:2:8: model.vocab_size: 288 is below the dataset's vocabulary, 50257\n"
      "job.yaml:3:17: data.dataset: its training part of 200 tokens does not fill one window of "
      "data.sequence_length + 1 = 201");

  options.probe_dataset = [](const std::string&) -> absl::StatusOr<DatasetFacts> {
    return absl::NotFoundError("words: there is no such folder; build it first");
  };
  EXPECT_EQ(Resolve(kOnDataset, {}, options).status().message(),
            "job.yaml:3:17: data.dataset: words: there is no such folder; build it first");
}

TEST(ResolveTest, AResolvedJobDoesNotTakeOtherDataUnderTheSameName) {
  ResolveOptions options;
  DatasetFacts facts{"c0ffee", 257, 1'000};
  options.probe_dataset = [&](const std::string&) -> absl::StatusOr<DatasetFacts> { return facts; };
  const auto job = Resolve(kOnDataset, {}, options);
  ASSERT_TRUE(job.ok());
  facts.digest = "decaf";
  const auto again = ResolveJob(*job, options);
  EXPECT_NE(again.status().message().find("its digest is decaf, the job's c0ffee"),
            absl::string_view::npos);
}

}  // namespace
}  // namespace carousel
