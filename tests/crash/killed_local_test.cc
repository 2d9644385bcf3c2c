// `carousel local`, killed and interrupted at any moment: started again, with other workers, it
// comes to the same bits.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "tests/crash/crash_job.h"

namespace carousel {
namespace {

// Processes that have `folder` on their command line.
std::vector<std::string> ProcessesOn(const std::string& folder) {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "cmdline");
    const std::string line((std::istreambuf_iterator<char>(file)), {});
    if (line.find(folder) != line.npos)
      found.push_back(entry.path().filename().string() + " " + line.c_str());
  }
  return found;
}

class KilledLocal : public testing::Test {
 protected:
  std::vector<std::string> Command(int workers) const {
    return Carousel(
        {"local", job_, "--workers", std::to_string(workers), "--state", state_, "-o", "json"});
  }

  TemporaryFolder folder_;
  const std::string state_ = folder_ / "state";
  const std::string job_ = WriteCrashJob(folder_ / "job.yaml");
};

TEST_F(KilledLocal, AtRandomMomentsAgainAndAgainGivesTheSameBits) {
  // Another moment each time; CAROUSEL_CRASH_SEED=N repeats one.
  const char* given = std::getenv("CAROUSEL_CRASH_SEED");
  const unsigned seed =
      given != nullptr ? std::strtoul(given, nullptr, 10) : std::random_device()();
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);

  int killed = 0;
  for (const int workers : {3, 1, 2, 3, 2}) {
    Program run(Command(workers));
    // While it starts, or while it runs.
    if (random() % 3 != 0) run.WaitForErr("RUNNING");
    const auto moment = std::chrono::milliseconds(random() % 800);
    const bool ended = Eventually([&] { return !run.Running(); }, moment);
    std::printf("%d workers, %s after %d ms\n", workers, ended ? "ended" : "killed",
                static_cast<int>(moment.count()));
    run.Kill();
    if (!ended) ++killed;
    EXPECT_TRUE(Eventually([&] { return ProcessesOn(state_).empty(); }, std::chrono::seconds(10)))
        << ProcessesOn(state_).front();
  }
  EXPECT_GT(killed, 0);

  const Finished last = RunToEnd(Command(2));
  ASSERT_EQ(last.code, 0) << last.err;
  EXPECT_EQ(Answer(last)["step"], 40);
  EXPECT_EQ(Answer(last)["state_digest"], UndisturbedDigest());
}

TEST_F(KilledLocal, InterruptedItPrintsTheCommandThatFinishes) {
  Program run(Command(3));
  ASSERT_TRUE(run.WaitForErr("step ")) << run.err();
  run.Signal(SIGINT);
  const Finished paused = run.Wait();
  ASSERT_EQ(paused.code, 130) << paused.err;
  EXPECT_EQ(Answer(paused)["state"], "paused");
  EXPECT_EQ(Answer(paused)["step"], Answer(paused)["committed_step"]);
  EXPECT_TRUE(ProcessesOn(state_).empty());

  // The printed words, as a shell takes them.
  const std::string lead = "Go on with:\n";
  const size_t at = paused.err.find(lead);
  ASSERT_NE(at, std::string::npos) << paused.err;
  const Finished finished = RunToEnd({"/bin/sh", "-c", paused.err.substr(at + lead.size())});
  ASSERT_EQ(finished.code, 0) << finished.err;
  EXPECT_EQ(Answer(finished)["state_digest"], UndisturbedDigest());
}

}  // namespace
}  // namespace carousel
