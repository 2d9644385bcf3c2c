// What is said of job files with faults as a whole: all of them at once, and which field is blamed.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "cluster/job/job_file.h"
#include "cluster/job/overrides.h"
#include "cluster/job/resolve.h"
#include "tests/cluster/job/accepted_job.h"

namespace carousel {
namespace {

TEST(JobFaultsTest, TheJobThatIsDamagedHereHasNone) {
  const auto job = ResolveJob(ParseJob(kAcceptedJob, "j"));
  EXPECT_TRUE(job.ok()) << job.status();
}

TEST(JobFaultsTest, AllThatIsWrongIsSaidAtOnceInTheOrderOfTheFile) {
  const auto job = ResolveJob(ParseJob(R"(name: A
model: {family: xlstm, dim: 0, vocab_size: 64, num_bloks: 4}
steps: soon
data: {sequence_length: 64, batch_size: 6}
learning_rate: {peak: -1}
numerics: {micro_batch_size: 4}
)",
                                       "j"));
  EXPECT_EQ(std::string(job.status().message()),
            "j:1:7: name: \"A\" cannot be a job's name; use 1 to 63 of a-z, 0-9 and -\n"
            "j:2:8: model.num_blocks: missing; it has no default\n"
            "j:2:29: model.dim: 0 is below the least allowed, 1\n"
            "j:2:48: model: unknown field \"num_bloks\"; did you mean \"num_blocks\"?\n"
            "j:3:8: steps: expected an integer (12, 4_096, 300B), got \"soon\"\n"
            "j:4:7: data: has no source; set exactly one of data.dataset (a folder that "
            "`carousel data build` or `carousel data import` wrote) and data.synthetic\n"
            "j:5:23: learning_rate.peak: -1 is outside its limits, 0 to 10\n"
            "j:6:30: numerics.micro_batch_size: 4 does not divide data.batch_size, 6; the nearest "
            "that fit are 3 and 6");
}

TEST(JobFaultsTest, StepsShorterThanTheWarmUpNameTheFlag) {
  const auto job = ResolveJob(ParseJob(kAcceptedJob, "j", {StepsOverride("6")}));
  EXPECT_EQ(
      std::string(job.status().message()),
      "j:17:17: learning_rate.warmup_steps: 10 must be below steps, 6 (from --steps 6); lower "
      "it, or leave it out: the default follows steps");
}

std::string SaidWith(const std::string& text, const std::string& assignment) {
  const auto job = ResolveJob(ParseJob(text, "j", {ParseOverride(assignment).value()}));
  return std::string(job.status().message());
}

// Which of two fields that do not fit is wrong? The one that was just changed.
TEST(JobFaultsTest, AWidthFromAFlagIsBlamedThereWithTheNearestThatFit) {
  EXPECT_EQ(SaidWith(kAcceptedJob, "model.dim=127"),
            "--set model.dim=127: model.dim: 127 is no multiple of model.slstm_num_heads, 4; the "
            "nearest that fit are 124 and 128");
  EXPECT_EQ(SaidWith(kAcceptedJob, "model.num_heads=3"),
            "--set model.num_heads=3: model.num_heads: 3 does not divide the blocks' inner width, "
            "64 (mlstm_proj_factor * dim, rounded up to 64); the nearest that fit are 2 and 4");
  EXPECT_EQ(SaidWith(kAcceptedJob, "data.batch_size=13"),
            "--set data.batch_size=13: data.batch_size: 13 is no multiple of "
            "numerics.micro_batch_size, 3; the nearest that fit are 12 and 15");
}

TEST(JobFaultsTest, WhatIsNoMapInAMessagesPlaceIsOneFaultAndNotOneOfEachField) {
  const std::string said = SaidWith(kAcceptedJob, "model=5");
  EXPECT_EQ(said.rfind("--set model=5: model: expected a map with some of: ", 0), 0u) << said;
  EXPECT_EQ(said.find("missing"), std::string::npos) << said;
}

TEST(JobFaultsTest, AnIntegerBeyond64BitsIsToldTheGreatest) {
  for (const char* const huge : {"99999999999999999999", "-9223372036854775809", "10000000T"}) {
    EXPECT_EQ(SaidWith(kAcceptedJob, std::string("steps=") + huge),
              std::string("--set steps=") + huge + ": steps: \"" + huge +
                  "\" is beyond the integers of 64 bits; the greatest is "
                  "9,223,372,036,854,775,807");
  }
}

TEST(JobFaultsTest, OfAFieldThatWasWrittenAndADefaultTheWrittenOneIsBlamed) {
  constexpr const char* kLarge =
      "name: a\nmodel: {preset: xlstm-large-tiny, dim: 127}\nsteps: 100\n"
      "data: {synthetic: {}, sequence_length: 64, batch_size: 4}\nlearning_rate: {peak: 1e-3}\n";

  EXPECT_EQ(std::string(ResolveJob(ParseJob(kLarge, "j")).status().message()),
            "j:2:40: model.dim: 127 is no multiple of model.num_heads, 4; the nearest that fit are "
            "120 and 128\n"
            "j:2:40: model.dim: 127 times model.qk_dim_factor is 63.5, no multiple of the 4 heads; "
            "the nearest that fit are 120 and 128");
}

// Bytes are replaced, removed and repeated at places of a fixed sequence; whatever comes out is
// either a job or refused with words.
TEST(JobFaultsTest, DamagedTextIsReadOrRefusedAndNeverMore) {
  uint64_t state = 1;
  const auto below = [&state](uint64_t bound) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<size_t>((state >> 33) % bound);
  };
  constexpr std::string_view kAlphabet = " \n\t:-[]{}#&*!|>'\"%@,?0123456789abckMB_.~\x80\xff";
  int refused = 0;
  for (int i = 0; i < 3'000; ++i) {
    std::string text = kAcceptedJob;
    for (size_t damage = below(4) + 1; damage > 0; --damage) {
      const size_t at = below(text.size());
      switch (below(3)) {
        case 0:
          text[at] = kAlphabet[below(kAlphabet.size())];
          break;
        case 1:
          text.erase(at, below(10) + 1);
          break;
        default:
          text.insert(at, text.substr(below(text.size()), below(30)));
      }
    }
    const auto job = ResolveJob(ParseJob(text, "j"));
    if (job.ok()) continue;
    ++refused;
    EXPECT_EQ(job.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_FALSE(job.status().message().empty()) << text;
  }
  EXPECT_GT(refused, 1'000);
}

}  // namespace
}  // namespace carousel
