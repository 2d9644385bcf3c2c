// Job files that must be refused, each with all that is said about it: the place, the field, the
// value, the limit or the choice, and a way out. The base is a job that is accepted; each case
// replaces one line of it, or is a whole text of its own.
#include <gtest/gtest.h>

#include <cstdint>
#include <ostream>
#include <string>

#include "cluster/job/job_file.h"
#include "cluster/job/resolve.h"
#include "tests/cluster/job/accepted_job.h"

namespace carousel {
namespace {

const std::string kSyntaxHint =
    "look here and at the line before: is a colon or a bracket missing, an indentation uneven, or "
    "a text with : # * & to be put in quotes?";

struct Malformed {
  std::string line;         // of the base; empty: `replacement` is the whole text
  std::string replacement;  // of that line
  std::string said;         // every fault, one a line
};

void PrintTo(const Malformed& malformed, std::ostream* out) { *out << malformed.replacement; }

std::string TextOf(const Malformed& malformed) {
  if (malformed.line.empty()) return malformed.replacement;
  std::string text = kAcceptedJob;
  const size_t at = text.find(malformed.line + "\n");
  EXPECT_NE(at, std::string::npos) << malformed.line;
  return text.replace(at, malformed.line.size(), malformed.replacement);
}

class MalformedJobsTest : public ::testing::TestWithParam<Malformed> {};

TEST_P(MalformedJobsTest, IsRefusedWithPlaceFieldValueAndLimit) {
  const auto job = ResolveJob(ParseJob(TextOf(GetParam()), "j"));
  ASSERT_FALSE(job.ok());
  EXPECT_EQ(job.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(std::string(job.status().message()), GetParam().said);
}

INSTANTIATE_TEST_SUITE_P(
    Syntax, MalformedJobsTest,
    ::testing::Values(
        Malformed{"", "model: [1, 2\nname: base\n",
                  "j:2:5: this is not YAML: end of sequence flow not found; " + kSyntaxHint},
        Malformed{"", "name: base: twice\n",
                  "j:1:11: this is not YAML: illegal map value; " + kSyntaxHint},
        Malformed{"  dim: 32", "\tdim: 32",
                  "j:5:1: line 5 holds a tab; YAML is indented with spaces"},
        Malformed{"  dim: 32", "  \tdim: 32",
                  "j:5:3: line 5 holds a tab; YAML is indented with spaces"},
        Malformed{"name: base", "name: &n base",
                  "j:1:7: an anchor (&name) is not allowed; write the value out where it is used"},
        Malformed{
            "name: base", "name: !!str base",
            "j:1:7: the tag \"tag:yaml.org,2002:str\" is not allowed; remove it: each field has "
            "its type already"},
        Malformed{"", "name: a\n---\nname: b\n",
                  "j:3:1: a second document begins here; one job file holds one job"},
        Malformed{"", "name: \xff\n",
                  "j:1:7: not UTF-8 text, or a control character; is this a job file?"},
        Malformed{
            "", "just words",
            "j:1:1: expected a map with some of: name, model, data, optimizer, learning_rate, "
            "steps, numerics, pipeline, checkpoint, got \"just words\""}));

INSTANTIATE_TEST_SUITE_P(
    Fields, MalformedJobsTest,
    ::testing::Values(
        Malformed{"steps: 100", "steps: 100\nstps: 3",
                  "j:19:1: unknown field \"stps\"; did you mean \"steps\"?"},
        Malformed{"  dim: 32", "  dim: 32\n  dim: 48",
                  "j:6:3: model.dim: set twice (first on line 5); remove one of the two"},
        Malformed{"  dim: 32", "  dim: 32.5",
                  "j:5:8: model.dim: expected an integer (12, 4_096, 300B), got \"32.5\""},
        Malformed{"  dim: 32", "  dim: \"32\"",
                  "j:5:8: model.dim: expected an integer (12, 4_096, 300B), got \"32\"; remove the "
                  "quotes"},
        Malformed{"  dim: 32", "  dim:",
                  "j:5:3: model.dim: expected an integer (12, 4_096, 300B), got nothing; write a "
                  "value, or remove the line to get the default"},
        Malformed{"  peak: 1e-3", "  peak: fast",
                  "j:16:9: learning_rate.peak: expected a number (0.1, 3e-4), got \"fast\""},
        Malformed{"  peak: 1e-3", "  peak: .inf",
                  "j:16:9: learning_rate.peak: expected a number (0.1, 3e-4), got \".inf\""},
        Malformed{"  family: xlstm", "  family: xltsm",
                  "j:3:11: model.family: \"xltsm\" is not one of: xlstm, xlstm_large; did you mean "
                  "\"xlstm\"?"},
        Malformed{"  slstm_at: [1, 3]", "  slstm_at: 1",
                  "j:8:13: model.slstm_at: expected a list such as [1, 3], got \"1\""},
        Malformed{"checkpoint: {keep: 3}", "checkpoint: {every_seconds: later}",
                  "j:23:29: checkpoint.every_seconds: expected a duration (30s, 10min, 2h, or "
                  "seconds), got \"later\""},
        Malformed{"pipeline: {stages: 2, segments: 2}", "pipeline: {schedule: 1b1f}",
                  "j:22:22: pipeline.schedule: \"1b1f\" is not one of: auto, gpipe, 1f1b; did you "
                  "mean \"1f1b\"?"},
        Malformed{
            "  sequence_length: 200", "  sequence_length: 200\n  reset_at_document_boundaries: yes",
            "j:13:33: data.reset_at_document_boundaries: expected true or false, got \"yes\""}));

INSTANTIATE_TEST_SUITE_P(
    Model, MalformedJobsTest,
    ::testing::Values(
        Malformed{
            "  family: xlstm", "",
            "j:4:3: model.family: missing; write xlstm or xlstm_large, or name a preset such as "
            "xlstm-125M-7:1"},
        Malformed{"  family: xlstm", "  preset: xlstm-125M",
                  "j:3:11: model.preset: there is no preset \"xlstm-125M\"; did you mean "
                  "\"xlstm-125M-1:0\"?"},
        Malformed{
            "  family: xlstm", "  family: xlstm_large\n  preset: xlstm-tiny",
            "j:3:11: model.family: differs from the family of preset \"xlstm-tiny\"; remove it, "
            "or choose another preset"},
        Malformed{"  vocab_size: 300", "", "j:3:3: model.vocab_size: missing; it has no default"},
        Malformed{"  vocab_size: 300", "  vocab_size: 1",
                  "j:4:15: model.vocab_size: 1 is below the least allowed, 2\n"
                  "j:4:15: model.vocab_size: 1 is below the vocabulary of the synthetic data, 257"},
        Malformed{"  dim: 32", "  dim: 0", "j:5:8: model.dim: 0 is below the least allowed, 1"},
        Malformed{"  dim: 32", "  dim: 1M",
                  "j:5:8: model.dim: 1000000 is above the limit of 65,536"},
        Malformed{"  num_blocks: 4", "  num_blocks: 5000",
                  "j:6:15: model.num_blocks: 5000 is above the limit of 4,096"},
        Malformed{"  num_heads: 4", "  num_heads: 3",
                  "j:7:14: model.num_heads: 3 does not divide the blocks' inner width, 64 "
                  "(mlstm_proj_factor * dim, rounded up to 64); the nearest that fit are 2 and 4"},
        Malformed{"  slstm_num_heads: 4", "  slstm_num_heads: 5",
                  "j:9:20: model.slstm_num_heads: 5 does not divide model.dim, 32; the nearest "
                  "that fit are 4 and 8"},
        Malformed{"  slstm_num_heads: 4", "  slstm_num_heads: 32",
                  "j:9:20: model.slstm_num_heads: 32 leaves a head of one unit, fewer than 2; "
                  "the nearest that fits is 16"},
        Malformed{"  slstm_at: [1, 3]", "  slstm_at: [1, 4]",
                  "j:8:17: model.slstm_at[1]: 4 is no block: they are numbered 0 to 3; if the "
                  "positions are a preset's, give model.slstm_at too"},
        Malformed{"  slstm_at: [1, 3]", "  slstm_at: [3, 1]",
                  "j:8:17: model.slstm_at[1]: 1 does not come after 3; list each position once, "
                  "ascending"},
        Malformed{"  slstm_at: [1, 3]", "  slstm_at: [1, 1]",
                  "j:8:17: model.slstm_at[1]: 1 does not come after 1; list each position once, "
                  "ascending"},
        Malformed{"  dim: 32", "  dim: 32\n  mlstm_proj_factor: 0",
                  "j:6:22: model.mlstm_proj_factor: 0 is not above 0"},
        Malformed{
            "  dim: 32", "  dim: 32\n  gate_soft_cap: 15",
            "j:6:18: model.gate_soft_cap: belongs to the family xlstm_large, and this model is "
            "not one; remove it"},
        Malformed{
            "  family: xlstm", "  family: xlstm_large",
            "j:8:13: model.slstm_at: belongs to the family xlstm, and this model is not one; "
            "remove it\n"
            "j:9:20: model.slstm_num_heads: belongs to the family xlstm, and this model is not "
            "one; remove it"},
        Malformed{
            "",
            "name: a\nmodel: {preset: xlstm-7B, qk_dim_factor: 0.3}\nsteps: 100\n"
            "data: {synthetic: {}, sequence_length: 64, batch_size: 4}\n"
            "learning_rate: {peak: 1e-3}\n",
            "j:2:42: model.qk_dim_factor: 0.3 times model.dim is 1228.8, no multiple of the 8 "
            "heads; the nearest that fit are 0.298828125 and 0.30078125"},
        Malformed{"",
                  "name: a\nmodel: {preset: xlstm-7B, dim: 65536, num_blocks: 4096}\nsteps: 100\n"
                  "data: {synthetic: {}, sequence_length: 64, batch_size: 4}\n"
                  "learning_rate: {peak: 1e-3}\n",
                  "j:2:8: model: 211,135,106,252,800 parameters are above the limit of "
                  "1,099,511,627,776"}));

INSTANTIATE_TEST_SUITE_P(
    Training, MalformedJobsTest,
    ::testing::Values(
        Malformed{"name: base", "", "j:2:1: name: missing; use 1 to 63 of a-z, 0-9 and -"},
        Malformed{"name: base", "name: My Job",
                  "j:1:7: name: \"My Job\" cannot be a job's name; use 1 to 63 of a-z, 0-9 and -"},
        Malformed{
            "name: base", "name: ../../etc",
            "j:1:7: name: \"../../etc\" cannot be a job's name; use 1 to 63 of a-z, 0-9 and -"},
        Malformed{"steps: 100", "", "j:1:1: steps: missing; it has no default"},
        Malformed{"steps: 100", "steps: -5", "j:18:8: steps: -5 is below the least allowed, 1"},
        Malformed{"steps: 100", "steps: 2B",
                  "j:18:8: steps: 2000000000 is above the limit of 1,000,000,000"},
        Malformed{"  synthetic: {tokens: 10k, mean_document_length: 50}", "",
                  "j:12:3: data: has no source; set exactly one of data.dataset (a folder that "
                  "`carousel data build` or `carousel data import` wrote) and data.synthetic"},
        Malformed{"  sequence_length: 200", "  sequence_length: 200\n  dataset: words",
                  "j:11:3: data: has two sources, dataset and synthetic; keep one of them, or "
                  "replace the file's: --set data.dataset=DIR or --set data.synthetic={}"},
        Malformed{
            "  vocab_size: 300", "  vocab_size: 256",
            "j:4:15: model.vocab_size: 256 is below the vocabulary of the synthetic data, 257"},
        Malformed{"  synthetic: {tokens: 10k, mean_document_length: 50}",
                  "  synthetic: {tokens: 10k, mean_document_length: 1}",
                  "j:11:50: data.synthetic.mean_document_length: 1 is below the least allowed, 2"},
        Malformed{"  synthetic: {tokens: 10k, mean_document_length: 50}",
                  "  synthetic: {tokens: 100}",
                  "j:11:23: data.synthetic.tokens: 100 do not fill one window of "
                  "data.sequence_length + 1 = 201"},
        Malformed{"  synthetic: {tokens: 10k, mean_document_length: 50}", "  dataset: \"\"",
                  "j:11:12: data.dataset: is empty; name the folder that `carousel data build` or "
                  "`carousel data import` wrote"},
        Malformed{"  sequence_length: 200", "",
                  "j:11:3: data.sequence_length: missing; it has no "
                  "default"},
        Malformed{"  sequence_length: 200", "  sequence_length: 0",
                  "j:12:20: data.sequence_length: 0 is below the least allowed, 1"},
        Malformed{"  batch_size: 12", "  batch_size: 2M",
                  "j:13:15: data.batch_size: 2000000 is above the limit of 1,048,576"},
        Malformed{"optimizer: {weight_decay: 0.1}", "optimizer: {beta1: 1}",
                  "j:14:20: optimizer.beta1: 1 is outside its limits, 0 to 0.999999999"},
        Malformed{"optimizer: {weight_decay: 0.1}", "optimizer: {epsilon: 0}",
                  "j:14:22: optimizer.epsilon: 0 is not above 0"},
        Malformed{"optimizer: {weight_decay: 0.1}", "optimizer: {clip_norm: -1}",
                  "j:14:24: optimizer.clip_norm: -1 is outside its limits, 0 to 1e+06"},
        Malformed{"  peak: 1e-3", "", "j:17:3: learning_rate.peak: missing; it has no default"},
        Malformed{"  peak: 1e-3", "  peak: 0", "j:16:9: learning_rate.peak: 0 is not above 0"},
        Malformed{"  warmup_steps: 10", "  warmup_steps: 100",
                  "j:17:17: learning_rate.warmup_steps: 100 must be below steps, 100; lower it, or "
                  "leave it out: the default follows steps"},
        Malformed{"  warmup_steps: 10", "  cooldown_steps: 10",
                  "j:17:19: learning_rate.cooldown_steps: has a meaning in an exponential schedule "
                  "only; remove it, or choose the shape exponential"},
        Malformed{
            "  warmup_steps: 10", "  shape: constant\n  final_factor: 0.5",
            "j:18:17: learning_rate.final_factor: has no meaning in a constant schedule; remove "
            "it, or choose the shape cosine or exponential"},
        Malformed{"  warmup_steps: 10",
                  "  warmup_steps: 50\n  shape: exponential\n  cooldown_steps: 50",
                  "j:19:19: learning_rate.cooldown_steps: 50 and warmup_steps, 50, must stay below "
                  "steps, 100"},
        Malformed{"  warmup_steps: 10", "  shape: exponential\n  final_factor: 0",
                  "j:18:17: learning_rate.final_factor: 0 is not above 0"},
        Malformed{"  micro_batch_size: 3", "  micro_batch_size: 5",
                  "j:20:21: numerics.micro_batch_size: 5 does not divide data.batch_size, 12; the "
                  "nearest that fit are 4 and 6"},
        Malformed{
            "  micro_batch_size: 3", "  micro_batch_size: 4\n  max_replicas: 2",
            "j:21:17: numerics.max_replicas: 2 needs 2 gradient leaves, which do not divide the "
            "3 micro-batches; the nearest that work are max_replicas 1 or data.batch_size 16"},
        Malformed{"  chunk_length: 64", "  chunk_length: 2048",
                  "j:21:17: numerics.chunk_length: 2048 is above the limit of 1,024"},
        Malformed{
            "  chunk_length: 64", "  kernel_version: 99",
            "j:21:19: numerics.kernel_version: 99 is not this build's version, 2; leave it out; "
            "a job of another version needs the build that wrote it"},
        Malformed{
            "pipeline: {stages: 2, segments: 2}", "pipeline: {stages: 7}",
            "j:22:20: pipeline.stages: 7 are more than the model's 6 units (embedding, blocks, "
            "head)"},
        Malformed{"pipeline: {stages: 2, segments: 2}", "pipeline: {segments: 5}",
                  "j:22:22: pipeline.segments: 5 are more than the 4 chunks of a sequence "
                  "(sequence_length 200, chunk_length 64); a segment holds whole chunks"},
        Malformed{"checkpoint: {keep: 3}", "checkpoint: {keep: 1}",
                  "j:23:20: checkpoint.keep: 1 is below the least allowed, 2"},
        Malformed{"checkpoint: {keep: 3}", "checkpoint: {every_seconds: 1ms}",
                  "j:23:29: checkpoint.every_seconds: 0.001 is below the least allowed, 1s; 0 "
                  "switches it off"}));

// A fault hides no other but those that cannot be judged without the field that has it.
INSTANTIATE_TEST_SUITE_P(
    SeveralAtOnce, MalformedJobsTest,
    ::testing::Values(
        Malformed{"  dim: 32\n  num_blocks: 4\n  num_heads: 4\n  slstm_at: [1, 3]",
                  "  dim: 0\n  num_blocks: 4\n  num_heads: 4\n  slstm_at: [4, 1, 9]",
                  "j:5:8: model.dim: 0 is below the least allowed, 1\n"
                  "j:8:14: model.slstm_at[0]: 4 is no block: they are numbered 0 to 3; if the "
                  "positions are a preset's, give model.slstm_at too\n"
                  "j:8:17: model.slstm_at[1]: 1 does not come after 4; list each position once, "
                  "ascending\n"
                  "j:8:20: model.slstm_at[2]: 9 is no block: they are numbered 0 to 3; if the "
                  "positions are a preset's, give model.slstm_at too"},
        Malformed{"  num_blocks: 4\n  num_heads: 4\n  slstm_at: [1, 3]",
                  "  num_blocks: 0\n  num_heads: 3\n  slstm_at: [3, -1]",
                  "j:6:15: model.num_blocks: 0 is below the least allowed, 1\n"
                  "j:7:14: model.num_heads: 3 does not divide the blocks' inner width, 64 "
                  "(mlstm_proj_factor * dim, rounded up to 64); the nearest that fit are 2 and 4\n"
                  "j:8:17: model.slstm_at[1]: -1 is no block: they are numbered from 0"},
        Malformed{"  num_heads: 4\n  slstm_at: [1, 3]\n  slstm_num_heads: 4",
                  "  num_heads: 0\n  slstm_at: [1, 3]\n  slstm_num_heads: 5",
                  "j:7:14: model.num_heads: 0 is below the least allowed, 1\n"
                  "j:9:20: model.slstm_num_heads: 5 does not divide model.dim, 32; the nearest "
                  "that fit are 4 and 8"},
        Malformed{"  slstm_at: [1, 3]\n  slstm_num_heads: 4",
                  "  slstm_at: [x, 9]\n  slstm_num_heads: 0",
                  "j:8:14: model.slstm_at[0]: expected an integer (12, 4_096, 300B), got \"x\"\n"
                  "j:9:20: model.slstm_num_heads: 0 is below the least allowed, 1"},
        Malformed{"  family: xlstm\n  vocab_size: 300\n  dim: 32",
                  "  preset: xlstm-tony\n  vocab_size: 1\n  dim: 0\n  ffn_factor: 99",
                  "j:3:11: model.preset: there is no preset \"xlstm-tony\"; did you mean "
                  "\"xlstm-tiny\"?\n"
                  "j:4:15: model.vocab_size: 1 is below the least allowed, 2\n"
                  "j:4:15: model.vocab_size: 1 is below the vocabulary of the synthetic data, "
                  "257\n"
                  "j:5:8: model.dim: 0 is below the least allowed, 1\n"
                  "j:6:15: model.ffn_factor: 99 is outside its limits, 0 to 16"},
        Malformed{"  dim: 32\n  num_blocks: 4", "  dim: 0\n  num_blocks: 3",
                  "j:5:8: model.dim: 0 is below the least allowed, 1\n"
                  "j:8:17: model.slstm_at[1]: 3 is no block: they are numbered 0 to 2; if the "
                  "positions are a preset's, give model.slstm_at too"},
        Malformed{"  batch_size: 12\noptimizer: {weight_decay: 0.1}\nlearning_rate:\n"
                  "  peak: 1e-3\n  warmup_steps: 10\nsteps: 100\nnumerics:\n"
                  "  micro_batch_size: 3",
                  "  batch_size: 0\noptimizer: {weight_decay: 0.1}\nlearning_rate:\n"
                  "  peak: 1e-3\n  warmup_steps: 100\n  cooldown_steps: -1\nsteps: 100\n"
                  "numerics:\n  micro_batch_size: 0",
                  "j:13:15: data.batch_size: 0 is below the least allowed, 1\n"
                  "j:17:17: learning_rate.warmup_steps: 100 must be below steps, 100; lower it, or "
                  "leave it out: the default follows steps\n"
                  "j:18:19: learning_rate.cooldown_steps: has a meaning in an exponential schedule "
                  "only; remove it, or choose the shape exponential\n"
                  "j:18:19: learning_rate.cooldown_steps: -1 is below the least allowed, 0\n"
                  "j:21:21: numerics.micro_batch_size: 0 is below the least allowed, 1"},
        Malformed{"",
                  "name: a\nmodel: {preset: xlstm-tiny, dim: 0}\nsteps: 100\n"
                  "data: {synthetic: {}, sequence_length: 0, batch_size: 1M}\n"
                  "numerics: {micro_batch_size: 1}\npipeline: {stages: 7}\n"
                  "learning_rate: {peak: 1e-3}\n",
                  "j:2:34: model.dim: 0 is below the least allowed, 1\n"
                  "j:4:40: data.sequence_length: 0 is below the least allowed, 1\n"
                  "j:5:30: numerics.micro_batch_size: 1000000 micro-batches (data.batch_size / "
                  "numerics.micro_batch_size) times 1 pipeline.segments are above the limit of "
                  "65,536 to a step; raise numerics.micro_batch_size, or lower data.batch_size\n"
                  "j:6:20: pipeline.stages: 7 are more than the model's 6 units (embedding, "
                  "blocks, head)"}));

INSTANTIATE_TEST_SUITE_P(
    Amounts, MalformedJobsTest,
    ::testing::Values(
        Malformed{
            "",
            "name: a\nmodel: {preset: xlstm-tiny}\nsteps: 1B\n"
            "data: {synthetic: {tokens: 1B}, sequence_length: 16M, batch_size: 1M}\n"
            "numerics: {micro_batch_size: 1}\n"
            "learning_rate: {peak: 1e-3}\n",
            "j:3:8: steps: 1000000000 times batch_size times sequence_length is above the limit "
            "of 2^60 tokens to a job\n"
            "j:5:30: numerics.micro_batch_size: 1000000 micro-batches (data.batch_size / "
            "numerics.micro_batch_size) times 1 pipeline.segments are above the limit of 65,536 to "
            "a step; raise numerics.micro_batch_size, or lower data.batch_size"},
        Malformed{"",
                  "name: a\nmodel: {preset: xlstm-tiny}\nsteps: 100\n"
                  "data: {synthetic: {tokens: 1B}, sequence_length: 1M, batch_size: 64}\n"
                  "numerics: {micro_batch_size: 32}\n"
                  "learning_rate: {peak: 1e-3}\n",
                  "j:5:30: numerics.micro_batch_size: 32 sequences of 1000000 tokens are above the "
                  "limit of 16,777,216 tokens to a micro-batch"}));

}  // namespace
}  // namespace carousel
