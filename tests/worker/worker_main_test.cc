#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "cluster/version.h"
#include "tests/cluster/shell.h"
#include "tests/cluster/temporary_folder.h"

namespace carousel {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class WorkerMain : public ::testing::Test {
 protected:
  Exit Run(const std::string& flags) {
    return RunInShell("worker/worker " + flags, folder_ / "stderr");
  }
  std::string Store() const { return folder_ / "store"; }

  TemporaryFolder folder_;
};

TEST_F(WorkerMain, AWrongCommandLineExitsWithTwoAndPointsToTheHelp) {
  const std::string good = "--coordinator 127.0.0.1:1 --state " + Store();
  for (const std::string& flags :
       {std::string(), "--state " + Store(), good + " --no-such-flag", good + " stray",
        good + " --threads none", good + " --threads 0", good + " --backend gpu",
        good + " --listen 127.0.0.1:65536", good + " --listen 0.0.0.0:0",
        "--coordinator 127.0.0.1:70000 --state " + Store(), good + " --state"}) {
    const Exit exit = Run(flags);
    EXPECT_EQ(exit.code, 2) << flags;
    EXPECT_EQ(exit.out, "") << flags;
    EXPECT_THAT(exit.err,
                AllOf(StartsWith("worker: "), EndsWith("\n`worker --help` shows what it takes\n")))
        << flags;
  }
  EXPECT_FALSE(std::filesystem::exists(Store())) << "nothing half-done is left";
}

TEST_F(WorkerMain, AFlagThatIsNearlyRightIsRecognised) {
  EXPECT_THAT(Run("--cordinator 127.0.0.1:1").err,
              HasSubstr("\"--cordinator\"; did you mean \"--coordinator\"?"));
  EXPECT_THAT(Run("--thread=2").err, HasSubstr("did you mean \"--threads\"?"));
}

TEST_F(WorkerMain, TheHelpNamesWhatIsRequiredAndEveryDefault) {
  const Exit help = Run("--help");

  EXPECT_EQ(help.code, 0);
  EXPECT_THAT(help.out, HasSubstr("--coordinator HOST:PORT REQUIRED"));
  EXPECT_THAT(help.out, HasSubstr("--state DIR REQUIRED"));
  EXPECT_THAT(help.out, HasSubstr("--listen HOST:PORT"));
  EXPECT_THAT(help.out, HasSubstr("--threads N:from 1 to 1024"));
  for (const char* value : {"[127.0.0.1:0]", "[1]", "[cpu]"})
    EXPECT_THAT(help.out, HasSubstr(value));
}

TEST_F(WorkerMain, ItKnowsItsVersion) {
  const Exit version = Run("--version");

  EXPECT_EQ(version.code, 0);
  EXPECT_EQ(version.out, "worker " + std::string(kVersion) + "\n");
}

}  // namespace
}  // namespace carousel
