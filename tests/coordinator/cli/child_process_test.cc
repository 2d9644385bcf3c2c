#include "coordinator/cli/child_process.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <thread>

#include "tests/cluster/temporary_folder.h"

namespace carousel {
namespace {

using std::chrono::minutes;

class ChildProcessTest : public testing::Test {
 protected:
  std::unique_ptr<ChildProcess> Start(const std::string& script) {
    ChildOptions options;
    options.name = "child";
    options.argv = {"/bin/sh", "-c", script};
    options.log = folder_ / "log";
    absl::StatusOr<std::unique_ptr<ChildProcess>> child = ChildProcess::Start(options);
    EXPECT_TRUE(child.ok()) << child.status();
    return *std::move(child);
  }
  std::string Log() const {
    std::ifstream file(folder_ / "log");
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static void WaitForEnd(ChildProcess* child) {
    while (child->Running()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }

  TemporaryFolder folder_;
};

TEST_F(ChildProcessTest, HowMuchItSaysNobodyMakesItWait) {
  // More than a pipe holds.
  const auto child =
      Start("echo ready at 7; head -c 300000 /dev/zero | tr '\\0' x; echo; echo end >&2");

  EXPECT_EQ(*child->WaitForLine("ready at ", minutes(1), NeverAbandoned), "ready at 7");

  WaitForEnd(child.get());
  EXPECT_GT(Log().size(), 300000);
  EXPECT_EQ(Log().substr(Log().size() - 5), "\nend\n");
}

TEST_F(ChildProcessTest, WhatAnEarlierOneSaidIsNotTakenForItsWords) {
  const auto first = Start("echo ready at 1");
  WaitForEnd(first.get());
  const auto second = Start("echo getting ready at 2; echo ready at 3");
  EXPECT_EQ(*second->WaitForLine("ready at ", minutes(1), NeverAbandoned), "ready at 3");
}

TEST_F(ChildProcessTest, OneThatEndsBeforeItIsReadyIsAnErrorWithItsLastWords) {
  const auto child = Start("echo port in use >&2; exit 3");
  const absl::Status status = child->WaitForLine("ready", minutes(1), NeverAbandoned).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  const std::string message(status.message());
  EXPECT_NE(message.find("exit code 3"), std::string::npos) << message;
  EXPECT_NE(message.find("port in use"), std::string::npos) << message;
}

TEST_F(ChildProcessTest, OneThatDoesNotGetReadyIsNamedWithItsProgram) {
  const auto child = Start("echo hello; sleep 600");
  const absl::Status status =
      child->WaitForLine("ready", std::chrono::seconds(1), NeverAbandoned).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  const std::string message(status.message());
  EXPECT_NE(message.find("/bin/sh"), std::string::npos) << message;
  EXPECT_NE(message.find("'ready'"), std::string::npos) << message;
  child->Kill();
}

TEST_F(ChildProcessTest, NobodyWaitsForWhatIsNotWantedAnyMore) {
  const auto child = Start("sleep 600");
  int asked = 0;
  const absl::Status status =
      child->WaitForLine("ready", minutes(10), [&] { return ++asked > 2; }).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  child->Kill();
}

}  // namespace
}  // namespace carousel
