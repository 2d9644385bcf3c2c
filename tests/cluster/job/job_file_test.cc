#include "cluster/job/job_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "cluster/job/contract.h"
#include "cluster/job/model_layout.h"
#include "cluster/job/segments.h"
#include "cluster/state_digest.h"
#include "kernels/cpu/block_sizes.h"
#include "kernels/cross_entropy.h"
#include "kernels/granule.h"
#include "tests/cluster/temporary_folder.h"

namespace carousel {
namespace {

JobSpec Example(const std::string& name) {
  const auto job = LoadJobFile("cluster/jobs/" + name + ".yaml");
  EXPECT_TRUE(job.ok()) << job.status();
  return job.value_or(JobSpec());
}

TEST(JobFileTest, EveryExampleLoadsUnderItsOwnName) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator("cluster/jobs")) {
    if (entry.path().extension() != ".yaml") continue;
    const std::string stem = entry.path().stem().string();
    EXPECT_EQ(Example(stem).name(), stem);
    names.insert(stem);
  }
  for (const char* name : {"smoke", "quickstart", "invariance", "xlstm-125m", "xlstm-7b"}) {
    EXPECT_TRUE(names.count(name)) << name;
  }
}

TEST(JobFileTest, AnExampleReadsBackFromItsResolvedText) {
  for (const char* name : {"smoke", "quickstart", "invariance", "xlstm-125m", "xlstm-7b"}) {
    const JobSpec job = Example(name);
    const auto again = ResolveJob(ParseJob(JobToYaml(job), "resolved"));
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(JobToYaml(*again), JobToYaml(job));
    EXPECT_EQ(ContractHash(*again), ContractHash(job));
  }
}

TEST(JobFileTest, SmokeShowsEverythingInAFewSteps) {
  const JobSpec job = Example("smoke");
  std::set<UnitKind> kinds;
  const ModelLayout layout = LayOut(job.model());
  for (const UnitLayout& unit : layout.units) kinds.insert(unit.kind);
  EXPECT_GE(layout.units.size(), 6u);
  EXPECT_TRUE(kinds.count(UnitKind::kMlstmBlock) && kinds.count(UnitKind::kSlstmBlock));
  EXPECT_GE(ChunksPerSequence(job.data().sequence_length(), job.numerics().chunk_length()), 4);
  EXPECT_GE(MicroBatches(job), 4);
  EXPECT_TRUE(job.data().has_synthetic());
  EXPECT_EQ(job.pipeline().stages(), 0);
  EXPECT_EQ(job.pipeline().segments(), 0);
  EXPECT_EQ(job.pipeline().schedule(), SCHEDULE_KIND_UNSPECIFIED);
  EXPECT_EQ(job.steps(), 6);
}

bool Exceeds(int64_t value, int64_t constant) { return value > constant && value % constant != 0; }

// What both jobs of the invariance test exceed, held to the constants of the code themselves.
void ExpectItExceedsWhatEveryOperationIsCutInto(const JobSpec& job) {
  const ModelSpec& model = job.model();
  const int64_t rows = job.numerics().micro_batch_size() * job.data().sequence_length();
  EXPECT_TRUE(Exceeds(rows, kernels::kBlockK)) << "k of the weights' gradients";
  EXPECT_TRUE(Exceeds(model.vocab_size(), kernels::kSoftmaxBlock));
  EXPECT_TRUE(Exceeds(model.dim(), kernels::kMostTileColumns));
  EXPECT_TRUE(Exceeds(model.dim(), kernels::kMostTileRows));
  EXPECT_TRUE(Exceeds(model.dim(), kernels::kVirtualLanes));
  EXPECT_TRUE(Exceeds(LayOut(model).units[0].Elements(), kernels::kGranule));
  const int64_t length = job.data().sequence_length(), chunk = job.numerics().chunk_length();
  EXPECT_TRUE(Exceeds(length, chunk));
  EXPECT_GE(ChunksPerSequence(length, chunk), 8) << "4 segments of 2 chunks";
  EXPECT_LT(job.data().synthetic().mean_document_length(), length / 2);
  EXPECT_GE(UnitCount(model), 4);
  EXPECT_EQ(MicroBatches(job) % 4, 0);
}

// A chunk of a checkpoint (kChunkElements) and a frame between workers would make the steps of
// tests/invariance too long; tests/crash/invariance_job_test.cc has them.
TEST(JobFileTest, InvarianceExceedsEveryConstantWithoutBeingDividedByIt) {
  const JobSpec job = Example("invariance");
  ExpectItExceedsWhatEveryOperationIsCutInto(job);
  const ModelWidths widths = WidthsOf(job.model());
  EXPECT_TRUE(Exceeds(widths.ffn, kernels::kBlockK)) << "k of a product with a residual";
  EXPECT_TRUE(Exceeds(2 * widths.ffn, kernels::kBlockColumns));
  EXPECT_TRUE(job.model().tie_embeddings());
  EXPECT_TRUE(
      LoadJobFile("cluster/jobs/invariance.yaml", {ParseOverride("numerics.max_replicas=2").value(),
                                                   ParseOverride("pipeline.stages=4").value(),
                                                   ParseOverride("pipeline.segments=4").value()})
          .ok());
}

TEST(JobFileTest, InvarianceLargeExceedsThemInTheOtherFamily) {
  const JobSpec job = Example("invariance-large");
  ExpectItExceedsWhatEveryOperationIsCutInto(job);
  EXPECT_EQ(job.model().family(), XLSTM_LARGE);
  EXPECT_FALSE(job.model().tie_embeddings());
}

TEST(JobFileTest, AGranuleIsTheSameToStoresAndKernels) {
  EXPECT_EQ(kGranuleElements, kernels::kGranule);
}

TEST(JobFileTest, FilesThatAreNoneAreRefused) {
  const TemporaryFolder folder;
  EXPECT_EQ(LoadJobFile(folder / "absent.yaml").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(LoadJobFile(folder.path()).status().message(),
            folder.path() + ": is not a file; name the job file itself");
  EXPECT_FALSE(LoadJobFile("/dev/zero").ok());

  const std::string huge = folder / "huge.yaml";
  std::ofstream(huge) << std::string(1 << 20, '#');
  EXPECT_NE(LoadJobFile(huge).status().message().find("larger than the limit of 262,144 bytes"),
            absl::string_view::npos);
}

TEST(JobFileTest, FaultsNameTheFileAsItWasGiven) {
  const TemporaryFolder folder;
  const std::string path = folder / "job.yaml";
  std::ofstream(path) << "name: a\nstepz: 3\n";
  const auto job = LoadJobFile(path);
  EXPECT_NE(job.status().message().find(path + ":2:1: unknown field \"stepz\""),
            absl::string_view::npos);
}

}  // namespace
}  // namespace carousel
