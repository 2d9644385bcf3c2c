// A step that is not finite is never applied: the job stops before it and says where it arose.
#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "tests/crash/crash_job.h"

namespace carousel {
namespace {

// Without clipping, at a rate that throws the weights away.
std::string WriteDivergingJob(const std::string& path) {
  std::ofstream(path) << "name: diverges\n"
                         "model: {family: xlstm, vocab_size: 263, dim: 72, num_blocks: 3, "
                         "num_heads: 4, slstm_at: [1], slstm_num_heads: 4}\n"
                         "data: {synthetic: {seed: 7, tokens: 20k, mean_document_length: 60}, "
                         "sequence_length: 130, batch_size: 8}\n"
                         "optimizer: {clip_norm: 0, weight_decay: 1}\n"
                         "learning_rate: {peak: 10, warmup_steps: 4}\n"
                         "steps: 40\n"
                         "numerics: {micro_batch_size: 2, chunk_length: 32}\n"
                         "checkpoint: {every_steps: 1}\n";
  return path;
}

// Of the lines "step N  loss … state DIGEST" that train_local prints.
struct LastStep {
  int step = 0;
  std::map<int, std::string> digests;
};

LastStep StepsOf(const std::string& out) {
  LastStep last;
  std::istringstream lines(out);
  for (std::string line; std::getline(lines, line);) {
    std::sscanf(line.c_str(), "step %d", &last.step);
    last.digests[last.step] = line.substr(line.rfind(' ') + 1);
  }
  return last;
}

TEST(DivergingJob, StopsBeforeTheStepAndSaysWhereItArose) {
  const TemporaryFolder folder;
  const std::string job = WriteDivergingJob(folder / "job.yaml");

  // Given where it goes wrong in one process,
  const Finished alone = RunToEnd({Binary("worker/train_local"), job});
  ASSERT_EQ(alone.code, 1) << alone.err;
  const LastStep good = StepsOf(alone.out);
  ASSERT_GT(good.step, 0);
  const std::string refused = "step " + std::to_string(good.step + 1) + " is not applied: ";
  const size_t at = alone.err.find(refused);
  ASSERT_NE(at, std::string::npos) << alone.err << "\nafter\n" << alone.out;
  const std::string where =
      alone.err.substr(at + refused.size(), alone.err.find('\n', at) - at - refused.size());
  EXPECT_NE(where.find("not finite"), std::string::npos) << where;

  // when the service runs it, again and again, then it fails at the same step for the same reason,
  for (const std::string workers : {"3", "2"}) {
    const Finished failed = RunToEnd(
        Carousel({"local", job, "--workers", workers, "--state", folder / "state", "-o", "json"}));
    EXPECT_EQ(failed.code, 100) << failed.err;
    const nlohmann::json answer = Answer(failed);
    EXPECT_EQ(answer["state"], "failed");
    const std::string reason = answer["reason"];
    EXPECT_NE(reason.find("step " + std::to_string(good.step + 1) + " was not applied"),
              std::string::npos)
        << reason;
    EXPECT_NE(reason.find(where), std::string::npos) << reason;
    EXPECT_EQ(reason.find("worker"), std::string::npos)
        << "who tells it first is not to blame: " << reason;

    // and what is kept is a state from before it.
    ASSERT_LE(answer["step"], good.step);
    ASSERT_GT(answer["step"], 0);
    EXPECT_EQ(answer["state_digest"], good.digests.at(answer["step"].get<int>()));
    EXPECT_EQ(answer["committed_step"], answer["step"]);
  }
}

}  // namespace
}  // namespace carousel
