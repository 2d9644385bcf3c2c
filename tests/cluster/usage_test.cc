#include "cluster/usage.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace carousel {
namespace {

// A program with an option, and a verb that has an option and an operand.
class UsageMessageTest : public ::testing::Test {
 protected:
  UsageMessageTest() {
    app_.add_option("--threads", threads_);
    CLI::App* verb = app_.add_subcommand("build");
    verb->add_option("--output", output_);
    verb->add_option("FILE", file_)->required();
  }

  // What is said about a command line that cannot be taken.
  std::string Said(std::vector<std::string> words) {
    words.insert(words.begin(), "tool");
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    try {
      app_.parse(static_cast<int>(argv.size()), argv.data());
    } catch (const CLI::ParseError& error) {
      return UsageMessage(app_, error.what());
    }
    return "taken";
  }

  CLI::App app_{"", "tool"};
  int threads_ = 0;
  std::string output_, file_;
};

TEST_F(UsageMessageTest, AProblemIsToldInItsOwnWordsOnOneLine) {
  EXPECT_EQ(UsageMessage(app_, "--threads: none is no number\n"),
            "tool: --threads: none is no number\n`tool --help` shows what it takes");
}

TEST_F(UsageMessageTest, AnOptionThatIsNotKnownIsQuotedWithTheOneThatItIsNearTo) {
  EXPECT_EQ(Said({"--thread=2"}),
            "tool: not expected: \"--thread=2\"; did you mean \"--threads\"?\n"
            "`tool --help` shows what it takes");
  EXPECT_EQ(Said({"--quite-other"}),
            "tool: not expected: \"--quite-other\"\n`tool --help` shows what it takes");
}

TEST_F(UsageMessageTest, AWordInTheVerbsPlaceIsNoVerb) {
  EXPECT_EQ(Said({"biuld"}),
            "tool: there is no verb \"biuld\"; did you mean \"build\"?\n"
            "`tool --help` shows what it takes");
}

TEST_F(UsageMessageTest, WithinAVerbItsOptionsAreMeantAndItsHelpIsPointedTo) {
  EXPECT_EQ(Said({"build", "a.txt", "--ouput", "x"}),
            "tool: not expected: \"--ouput\"; did you mean \"--output\"?\n"
            "`tool build --help` shows what it takes");
  EXPECT_EQ(Said({"build", "a.txt", "b.txt"}),
            "tool: not expected: \"b.txt\"\n`tool build --help` shows what it takes");
}

TEST_F(UsageMessageTest, WhatIsMissingIsNamed) {
  EXPECT_EQ(Said({"build"}), "tool: FILE is required\n`tool build --help` shows what it takes");
}

}  // namespace
}  // namespace carousel
