// The two jobs whose bits must not depend on how they are run, through the real programs: killed in
// the middle, finished by other workers in another shape.
#include <gtest/gtest.h>

#include <ostream>

#include "cluster/job/job_file.h"
#include "cluster/job/model_layout.h"
#include "cluster/state_digest.h"
#include "tests/crash/crash_job.h"
#include "worker/outgoing_edge.h"

namespace carousel {
namespace {

constexpr int kSteps = 4;

using Words = std::vector<std::string>;

Words operator+(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

struct Story {
  const char* title;
  const char* file;
  Words contract;       // --set, for every run
  Words before, after;  // pipeline wishes of the run that is killed, and of the one that finishes
};
void PrintTo(const Story& story, std::ostream* out) { *out << story.title; }

// Sizes that make what passes between processes longer than one piece of it, and no multiple: rows
// of 1,144,032 bytes where there are no segments; and in the first story the tied matrix, which the
// new cut moves, of 1,113,976 elements.
const Words kLongRows = {"model.dim=136", "data.sequence_length=701", "data.batch_size=6"};
const Story kStories[] = {
    {"TiedHead",
     "invariance.yaml",
     kLongRows + Words{"model.vocab_size=8191", "model.slstm_ffn_factor=2"},
     {"pipeline.stages=3", "pipeline.schedule=1f1b", "pipeline.segments=1"},
     {"pipeline.stages=2", "pipeline.schedule=gpipe", "pipeline.segments=2"}},
    {"Large",
     "invariance-large.yaml",
     kLongRows + Words{"model.ffn_factor=2"},
     {"pipeline.stages=3", "pipeline.schedule=gpipe", "pipeline.segments=4"},
     {"pipeline.stages=2", "pipeline.schedule=1f1b", "pipeline.segments=1"}},
    {"TwoLeaves",
     "invariance.yaml",
     {"numerics.max_replicas=2", "model.slstm_ffn_factor=2"},
     {"pipeline.stages=3", "pipeline.schedule=gpipe", "pipeline.segments=2"},
     {"pipeline.stages=2", "pipeline.schedule=1f1b", "pipeline.segments=1"}},
};

JobSpec Load(const Story& story) {
  std::vector<Override> overrides;
  for (const std::string& field : story.contract) overrides.push_back(ParseOverride(field).value());
  const auto job = LoadJobFile(std::string("cluster/jobs/") + story.file, overrides);
  EXPECT_TRUE(job.ok()) << job.status();
  return job.value_or(JobSpec());
}

class InvarianceJob : public testing::TestWithParam<Story> {
 protected:
  static Words Sets(const Words& fields) {
    Words words;
    for (const std::string& field : fields) words = words + Words{"--set", field};
    return words;
  }
  // The file and what belongs to the contract.
  static Words Job() {
    return Words{std::string("cluster/jobs/") + GetParam().file, "--steps",
                 std::to_string(kSteps)} +
           Sets(GetParam().contract);
  }
  Words Local(int workers, const Words& wishes) const {
    return Carousel(Words{"local"} + Job() + Sets(wishes) +
                    Words{"--set", "checkpoint.every_steps=1", "--workers", std::to_string(workers),
                          "--state", state_, "-o", "json"});
  }
  static std::string TrainedLocally() {
    const Finished whole =
        RunToEnd(Words{Binary("worker/train_local")} + Job() + Words{"-o", "json"});
    return Answer(whole).value("state_digest", "train_local failed: " + whole.err);
  }

  // -1 if nobody answers.
  static int CommittedStep(const Words& question) {
    const Finished asked = RunToEnd(Carousel(question + Words{"-o", "json"}));
    const nlohmann::json answer = nlohmann::json::parse(asked.out, nullptr, false);
    return answer.is_object() ? answer.value("committed_step", -1) : -1;
  }
  // Once a checkpoint of a step > 0 is committed.
  void KillInTheMiddle(const Words& words) const {
    Program run(words);
    ASSERT_TRUE(run.WaitForErr("RUNNING")) << run.err();
    const std::string said = run.err(), lead = "coordinator at ";
    const size_t at = said.find(lead) + lead.size();
    const std::string address = said.substr(at, said.find('\n', at) - at);
    ASSERT_TRUE(Eventually([&] {
      return CommittedStep({"describe", "--coordinator", address}) > 0;
    })) << run.err();
    run.Kill();
  }

  TemporaryFolder folder_;
  const std::string state_ = folder_ / "state";
};
INSTANTIATE_TEST_SUITE_P(Stories, InvarianceJob, testing::ValuesIn(kStories),
                         [](const auto& info) { return std::string(info.param.title); });

TEST_P(InvarianceJob, KilledAndFinishedInAnotherShapeHasTheBitsOfOneProcess) {
  ASSERT_NO_FATAL_FAILURE(KillInTheMiddle(Local(3, GetParam().before)));
  int committed = -1;  // until the last of the processes is gone
  ASSERT_TRUE(Eventually([&] {
    committed = CommittedStep({"describe", "--state", state_});
    return committed >= 0;
  }));
  ASSERT_GT(committed, 0);
  ASSERT_LT(committed, kSteps);

  const Finished finished = RunToEnd(Local(2, GetParam().after));
  ASSERT_EQ(finished.code, 0) << finished.err;
  EXPECT_EQ(Answer(finished)["step"], kSteps);
  EXPECT_EQ(Answer(finished)["state_digest"], TrainedLocally());

  // The model of the shards that lie with the workers is whole.
  const Finished measured = RunToEnd(Carousel({"eval", "--state", state_, "-o", "json"}));
  EXPECT_EQ(measured.code, 0) << measured.err;
  const nlohmann::json figures = Answer(measured);
  for (const char* name : {"loss", "bits_per_byte", "perplexity"}) {
    // What is not finite is null in JSON.
    ASSERT_TRUE(figures.contains(name) && figures[name].is_number()) << name << measured.out;
    EXPECT_GT(figures[name].get<double>(), 0) << name;
  }
  const Finished written =
      RunToEnd(Carousel({"generate", "--state", state_, "--prompt", "abc", "--max-tokens", "8"}));
  EXPECT_EQ(written.code, 0) << written.err;
  EXPECT_EQ(written.out.rfind("abc", 0), 0u) << written.out;
}

// What the sizes above are for.
TEST(InvarianceJobSizes, WhatIsSentAndStoredIsLongerThanAPieceAndNoMultiple) {
  const auto exceeds = [](int64_t value, int64_t part) {
    return value > part && value % part != 0;
  };
  for (const Story& story : kStories) {
    if (story.title == std::string("TwoLeaves")) continue;  // has the file's own sizes
    const JobSpec job = Load(story);
    const int64_t rows = job.numerics().micro_batch_size() * job.data().sequence_length();
    EXPECT_TRUE(
        exceeds(rows * job.model().dim() * static_cast<int64_t>(sizeof(float)), kFrameBytes));
    const int64_t embedding = LayOut(job.model()).units[0].Elements();
    EXPECT_TRUE(exceeds(embedding, kGranuleElements));
    if (job.model().tie_embeddings()) {
      EXPECT_TRUE(exceeds(embedding, kChunkElements));
    }
  }
}

}  // namespace
}  // namespace carousel
