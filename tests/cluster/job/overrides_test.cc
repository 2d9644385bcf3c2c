#include "cluster/job/overrides.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cluster/job/job_file.h"
#include "proto/job.pb.h"

namespace carousel {
namespace {

constexpr const char* kJob = R"(name: a
model:
  slstm_at: [1, 3]
  dim: 64
steps: 100
)";

std::vector<Override> Set(const std::vector<std::string>& assignments) {
  std::vector<Override> overrides;
  for (const std::string& assignment : assignments) {
    overrides.push_back(ParseOverride(assignment).value());
  }
  return overrides;
}

JobDraft With(const std::vector<std::string>& assignments) {
  return ParseJob(kJob, "job.yaml", Set(assignments));
}

std::string FaultsWith(const std::string& assignment) {
  return std::string(With({assignment}).faults.ToStatus().message());
}

TEST(OverridesTest, AFieldOfTheFileIsReplaced) {
  EXPECT_EQ(With({"model.dim=128"}).job.model().dim(), 128);
  EXPECT_EQ(With({"model.dim=128", "model.dim=256"}).job.model().dim(), 256);
}

TEST(OverridesTest, AFieldThatTheFileLeavesOutIsAdded) {
  const JobDraft draft = With({"pipeline.stages=2", "pipeline.schedule=1f1b"});
  EXPECT_TRUE(draft.faults.empty());
  EXPECT_EQ(draft.job.pipeline().stages(), 2);
  EXPECT_EQ(draft.job.pipeline().schedule(), ONE_F_ONE_B);
}

TEST(OverridesTest, ListsAreReplacedWholeOrByElement) {
  EXPECT_EQ(With({"model.slstm_at=[0, 2, 5]"}).job.model().slstm_at_size(), 3);
  EXPECT_EQ(With({"model.slstm_at=[]"}).job.model().slstm_at_size(), 0);
  EXPECT_EQ(With({"model.slstm_at[1]=5"}).job.model().slstm_at(1), 5);
  EXPECT_EQ(With({"model.slstm_at[2]=5"}).job.model().slstm_at_size(), 3);
}

TEST(OverridesTest, TheFlagIsThePlaceOfItsFaults) {
  EXPECT_EQ(FaultsWith("model.dimm=3"),
            "--set model.dimm=3: model: unknown field \"dimm\"; did you mean \"dim\"?");
  EXPECT_EQ(FaultsWith("model.dim=wide"),
            "--set model.dim=wide: model.dim: expected an integer (12, 4_096, 300B), got \"wide\"");
  EXPECT_EQ(FaultsWith("model.slstm_at=[1,x]"),
            "--set model.slstm_at=[1,x]: model.slstm_at[1]: expected an integer (12, 4_096, 300B), "
            "got \"x\"");
  EXPECT_NE(FaultsWith("model.dim=").find("got nothing"), std::string::npos);
}

TEST(OverridesTest, PathsThatLeadNowhereAreRefused) {
  EXPECT_NE(FaultsWith("model..dim=3").find("is not the path of a field"), std::string::npos);
  EXPECT_NE(FaultsWith("model.slstm_at[x]=3").find("is not the path of a field"),
            std::string::npos);
  EXPECT_NE(FaultsWith("model.slstm_at[7]=3").find("has 2 elements, so index 7 cannot be set"),
            std::string::npos);
  EXPECT_NE(FaultsWith("model.dim[0]=3").find("is not a list in the job file"), std::string::npos);
  EXPECT_FALSE(ParseOverride("model.dim").ok());
  EXPECT_FALSE(ParseOverride("=3").ok());
}

JobDraft DataWith(const std::string& data, const std::vector<std::string>& assignments) {
  return ParseJob("name: a\ndata: " + data + "\n", "job.yaml", Set(assignments));
}

TEST(OverridesTest, OneSourceOfDataReplacesTheOther) {
  const JobDraft folder = DataWith("{synthetic: {tokens: 5k}, batch_size: 4}", {"data.dataset=d"});
  EXPECT_TRUE(folder.faults.empty());
  EXPECT_EQ(folder.job.data().dataset(), "d");
  EXPECT_FALSE(folder.job.data().has_synthetic());
  EXPECT_EQ(folder.job.data().batch_size(), 4);

  const JobDraft made_up =
      DataWith("{dataset: d, dataset_digest: c0ffee}", {"data.synthetic={tokens: 7k}"});
  EXPECT_TRUE(made_up.faults.empty());
  EXPECT_EQ(made_up.job.data().synthetic().tokens(), 7'000);
  EXPECT_FALSE(made_up.job.data().has_dataset());
  EXPECT_FALSE(made_up.job.data().has_dataset_digest());
}

TEST(OverridesTest, OfTwoSourcesFromFlagsTheLastWins) {
  const JobDraft draft = DataWith("{}", {"data.synthetic={}", "data.dataset=a", "data.dataset=b"});
  EXPECT_EQ(draft.job.data().dataset(), "b");
  EXPECT_FALSE(draft.job.data().has_synthetic());
}

TEST(OverridesTest, ASourceThatIsNothingReplacesNoOther) {
  const JobDraft draft = DataWith("{synthetic: {}}", {"data.dataset="});
  EXPECT_TRUE(draft.job.data().has_synthetic());
  EXPECT_FALSE(draft.faults.empty());
}

// It may well be meant for the corpus that the file does not have any more.
TEST(OverridesTest, APartOfASourceReplacesNoOther) {
  const JobDraft draft = DataWith("{dataset: d}", {"data.synthetic.tokens=5k"});
  EXPECT_TRUE(draft.job.data().has_dataset());
  EXPECT_TRUE(draft.job.data().has_synthetic());
}

TEST(OverridesTest, StepsIsAnOverrideLikeAnyOther) {
  const JobDraft draft = ParseJob(kJob, "job.yaml", {StepsOverride("6")});
  EXPECT_EQ(draft.job.steps(), 6);
  EXPECT_EQ(draft.places.Find("steps").Text(), "--steps 6");
}

TEST(OverridesTest, AMessageIsChangedWhereItIsAllowedAndOnlyAsAWhole) {
  JobSpec job = With({"pipeline.stages=2"}).job;

  EXPECT_TRUE(OverrideMessage(Set({"pipeline.segments=4"}), "pipeline.", JobDialect(), &job).ok());
  EXPECT_EQ(job.pipeline().stages(), 2);
  EXPECT_EQ(job.pipeline().segments(), 4);

  const absl::Status refused =
      OverrideMessage(Set({"pipeline.stages=3", "steps=7"}), "pipeline.", JobDialect(), &job);
  EXPECT_EQ(refused.message(),
            "--set steps=7: steps: cannot be changed here; only pipeline.* can; what fixes the "
            "result stays as it is");
  EXPECT_EQ(job.pipeline().stages(), 2);
}

}  // namespace
}  // namespace carousel
