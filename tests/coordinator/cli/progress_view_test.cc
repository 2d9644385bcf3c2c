#include "coordinator/cli/progress_view.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <iterator>

namespace carousel {
namespace {

Job RunningJob(int64_t step) {
  Job job;
  job.set_job("smoke-1");
  job.set_state(RUNNING);
  job.set_step(step);
  job.set_steps(100);
  job.set_loss(2);
  job.set_committed_step(-1);
  StageStatus* stage = job.add_stages();
  stage->set_worker("w-1");
  stage->set_end_unit(3);
  stage->set_busy_ratio(0.75);
  return job;
}

// What a view writes to a file, which is no terminal.
std::string Shown(const std::vector<Job>& jobs) {
  FILE* file = std::tmpfile();
  {
    ProgressView view(file);
    for (const Job& job : jobs) view.Show(job);
    view.Finish();
  }
  std::rewind(file);
  std::string text(4096, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  return text;
}

TEST(ProgressView, OffATerminalQuickStepsAreLeftOutAndTheLastIsNot) {
  std::vector<Job> jobs;
  for (int64_t step = 1; step <= 100; ++step) jobs.push_back(RunningJob(step));

  const std::string text = Shown(jobs);

  EXPECT_NE(text.find("smoke-1  RUNNING"), std::string::npos) << text;
  EXPECT_NE(text.find("step 1/100"), std::string::npos) << text;
  EXPECT_NE(text.find("step 100/100"), std::string::npos) << text;
  EXPECT_EQ(text.find("step 50/100"), std::string::npos) << text;
  EXPECT_EQ(text.find('\x1b'), std::string::npos) << text;
}

TEST(ProgressView, OffATerminalALineSaysHowFastHowLongAndHowBusyTheStagesAre) {
  Job job = RunningJob(50);
  job.set_tokens(5000);
  job.set_tokens_per_second(1234);
  job.set_eta_seconds(200);
  job.add_stages()->set_busy_ratio(0.5);

  const std::string text = Shown({job});

  EXPECT_NE(text.find("step 50/100  loss 2.0000  perplexity 7.389  5,000 tokens  1,234 tokens/s  "
                      "eta 3 min 20 s  busy 75 %, 50 %\n"),
            std::string::npos)
      << text;
}

TEST(ProgressView, AReasonCannotWriteToTheTerminal) {
  Job job = RunningJob(1);
  job.set_reason("red \x1b[31m");
  EXPECT_EQ(Shown({job}).find('\x1b'), std::string::npos);
}

TEST(ProgressView, LiveLinesFitTheTerminalAndShowEachStage) {
  Terminal terminal;
  terminal.width = 60;

  const std::vector<std::string> lines = LiveLines(RunningJob(50), terminal);

  ASSERT_EQ(lines.size(), 6);
  for (const std::string& line : lines) EXPECT_LT(line.size(), 60) << line;
  EXPECT_NE(lines[1].find("50 %"), std::string::npos) << lines[1];
  EXPECT_NE(lines[5].find("#########---"), std::string::npos) << lines[5];
}

}  // namespace
}  // namespace carousel
