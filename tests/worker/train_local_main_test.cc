#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
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

class TrainLocalMain : public ::testing::Test {
 protected:
  Exit Run(const std::string& flags) {
    return RunInShell("worker/train_local " + flags, folder_ / "stderr");
  }

  TemporaryFolder folder_;
};

TEST_F(TrainLocalMain, AWrongCommandLineExitsWithTwoAndPointsToTheHelp) {
  for (const std::string flags :
       {"", "a.yaml b.yaml", "a.yaml --no-such-flag", "a.yaml --threads 0", "a.yaml --backend gpu",
        "a.yaml -o xml", "a.yaml --set steps", "a.yaml --steps 0", "a.yaml --steps none"}) {
    const Exit exit = Run(flags);
    EXPECT_EQ(exit.code, 2) << flags << ": " << exit.err;
    EXPECT_THAT(exit.err, AllOf(StartsWith("train_local: "),
                                EndsWith("\n`train_local --help` shows what it takes\n")))
        << flags;
  }
  EXPECT_THAT(Run("a.yaml --step 3").err, HasSubstr("did you mean \"--steps\"?"));
}

TEST_F(TrainLocalMain, AJobFileThatIsNotThereExitsWithFour) {
  const Exit exit = Run(folder_ / "no.yaml");

  EXPECT_EQ(exit.code, 4) << exit.err;
  EXPECT_THAT(exit.err, AllOf(StartsWith("train_local: "), HasSubstr(folder_ / "no.yaml")));
}

TEST_F(TrainLocalMain, AJobThatIsInvalidExitsWithThree) {
  std::ofstream(folder_ / "job.yaml") << "nam: typo\n";

  const Exit exit = Run(folder_ / "job.yaml");

  EXPECT_EQ(exit.code, 3) << exit.err;
  EXPECT_THAT(exit.err, HasSubstr("did you mean \"name\"?"));
}

TEST_F(TrainLocalMain, ItKnowsItsVersionAndItsDefaults) {
  EXPECT_EQ(Run("--version").out, "train_local " + std::string(kVersion) + "\n");
  const Exit help = Run("--help");
  EXPECT_EQ(help.code, 0);
  EXPECT_THAT(help.out, HasSubstr("--threads N:from 1 to 1024"));
  for (const char* value : {"[1]", "[cpu]", "[text]"}) EXPECT_THAT(help.out, HasSubstr(value));
}

}  // namespace
}  // namespace carousel
