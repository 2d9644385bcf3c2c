#include "cluster/job/contract.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cluster/job/job_file.h"
#include "cluster/job/resolve.h"

namespace carousel {
namespace {

constexpr const char* kJob = R"(name: pinned
model: {preset: xlstm-tiny}
data: {synthetic: {}, sequence_length: 200, batch_size: 16}
learning_rate: {peak: 1e-3}
steps: 160
)";

JobSpec With(const std::vector<std::string>& assignments) {
  std::vector<Override> overrides;
  for (const std::string& assignment : assignments) {
    overrides.push_back(ParseOverride(assignment).value());
  }
  const auto job = ResolveJob(ParseJob(kJob, "job.yaml", overrides));
  EXPECT_TRUE(job.ok()) << job.status();
  return job.value_or(JobSpec());
}

// The hash of a stored job must not change when the code does: a resume would be refused.
TEST(ContractTest, TheCanonicalFormAndItsHashArePinned) {
  EXPECT_EQ(CanonicalContract(With({})), R"(model.family=5:XLSTM
model.vocab_size=3:288
model.dim=2:64
model.num_blocks=1:4
model.num_heads=1:4
model.tie_embeddings=5:false
model.slstm_at=3:[1]
model.slstm_num_heads=1:4
model.slstm_ffn_factor=3:1.3
model.mlstm_proj_factor=1:2
data.synthetic.seed=1:0
data.synthetic.tokens=7:1000000
data.synthetic.mean_document_length=3:256
data.sequence_length=3:200
data.batch_size=2:16
data.shuffle_seed=1:0
data.reset_at_document_boundaries=4:true
optimizer.beta1=3:0.9
optimizer.beta2=4:0.95
optimizer.epsilon=5:1e-05
optimizer.weight_decay=3:0.1
optimizer.weight_decay_rule=4:NXAI
optimizer.clip_norm=1:1
learning_rate.shape=6:COSINE
learning_rate.peak=5:0.001
learning_rate.warmup_steps=2:10
learning_rate.final_factor=3:0.1
steps=3:160
numerics.dtype=3:F32
numerics.micro_batch_size=1:4
numerics.chunk_length=2:64
numerics.max_replicas=1:1
numerics.seed=1:0
numerics.kernel_version=1:2
)");
  EXPECT_EQ(ContractHash(With({})), "34342278eb569ceb1639ecb29af6c895");
}

TEST(ContractTest, WhatFixesNoBitIsNotInIt) {
  const std::string hash = ContractHash(With({}));
  for (const char* assignment :
       {"name=other", "pipeline.stages=3", "pipeline.schedule=1f1b", "pipeline.segments=2",
        "checkpoint.every_steps=7", "checkpoint.keep=9"}) {
    EXPECT_EQ(ContractHash(With({assignment})), hash) << assignment;
    EXPECT_TRUE(DiffContracts(With({}), With({assignment})).empty()) << assignment;
  }
}

TEST(ContractTest, WhatFixesBitsIsInIt) {
  const std::string hash = ContractHash(With({}));
  for (const char* assignment :
       {"model.dim=128", "model.slstm_at=[2]", "model.tie_embeddings=true", "data.batch_size=32",
        "data.shuffle_seed=1", "data.synthetic.seed=1", "optimizer.beta2=0.99",
        "optimizer.weight_decay_rule=kernel-only", "learning_rate.peak=2e-3", "steps=320",
        "numerics.micro_batch_size=2", "numerics.chunk_length=32", "numerics.max_replicas=2",
        "numerics.seed=1"}) {
    EXPECT_NE(ContractHash(With({assignment})), hash) << assignment;
  }
}

TEST(ContractTest, APresetAndItsValuesAreOneContract) {
  EXPECT_EQ(ContractHash(With({})),
            ContractHash(With({"model={family: xlstm, vocab_size: 288, dim: 64, num_blocks: 4, "
                               "num_heads: 4, slstm_at: [1]}"})));
}

TEST(ContractTest, DifferencesNameTheFieldAndBothValues) {
  EXPECT_EQ(DiffContracts(With({"steps=320", "model.slstm_at=[]"}), With({})),
            (std::vector<ContractDifference>{{"steps", "320", "160"},
                                             {"learning_rate.warmup_steps", "20", "10"},
                                             {"model.slstm_at", "not set", "[1]"}}));
  EXPECT_EQ(DescribeDifferences(With({"numerics.seed=1"}), With({})),
            "numerics.seed: 1, but the stored job has 0");
}

TEST(ContractTest, ADatasetCountsByItsDigestNotItsFolder) {
  JobSpec here = With({});
  here.mutable_data()->clear_synthetic();
  here.mutable_data()->set_dataset("here");
  JobSpec moved = here;
  moved.mutable_data()->set_dataset("there");
  EXPECT_NE(ContractHash(here), ContractHash(moved));
  here.mutable_data()->set_dataset_digest("c0ffee");
  moved.mutable_data()->set_dataset_digest("c0ffee");
  EXPECT_EQ(ContractHash(here), ContractHash(moved));
  moved.mutable_data()->set_dataset_digest("decaf");
  EXPECT_EQ(DescribeDifferences(moved, here),
            "data.dataset_digest: decaf, but the stored job has c0ffee");
}

}  // namespace
}  // namespace carousel
