#include "cluster/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <thread>

#include "tests/cluster/temporary_folder.h"

namespace carousel {
namespace {

using ::testing::HasSubstr;

std::string Read(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(Log, ALineHasTimeLevelComponentAndMessage) {
  EXPECT_EQ(FormatLogLine({1, 1795514832.3454, LogLevel::kWarning, "worker", "slow disk"}),
            "2026-11-24T10:07:12.345Z WARN  worker: slow disk");
}

TEST(Log, AppendsToItsFile) {
  TemporaryFolder folder;
  SimulatedClock clock;
  for (const char* message : {"first", "second"}) {
    auto log = *Log::Open({.to_stderr = false, .file = folder / "log", .clock = &clock});
    log->Write(LogLevel::kInfo, "c", message);
  }
  EXPECT_EQ(Read(folder / "log"),
            "1970-01-01T00:00:00.000Z INFO  c: first\n1970-01-01T00:00:00.000Z INFO  c: second\n");
}

TEST(Log, DropsWhatLiesBelowItsLevel) {
  auto log = *Log::Open({.least = LogLevel::kWarning, .to_stderr = false});
  log->Write(LogLevel::kInfo, "c", "no");
  log->Write(LogLevel::kError, "c", "yes");
  ASSERT_EQ(log->Since(0, 10).size(), 1);
  EXPECT_EQ(log->Since(0, 10)[0].message, "yes");
}

TEST(Log, ALineIsALineWhateverTheMessage) {
  auto log = *Log::Open({.to_stderr = false});
  log->Write(LogLevel::kInfo, "c", "a\nb\t\x1b[31mä");
  EXPECT_EQ(log->Since(0, 1)[0].message, "a\\nb\\t\\x1b[31mä");
  log->Write(LogLevel::kInfo, "c", std::string(10000, 'x'));
  EXPECT_THAT(log->Since(1, 1)[0].message, HasSubstr("... (1808 more bytes)"));
}

TEST(Log, KeepsTheLastLinesForWhoAsks) {
  auto log = *Log::Open({.to_stderr = false, .kept = 3});
  for (int i = 1; i <= 5; ++i) log->Write(LogLevel::kInfo, "c", std::to_string(i));
  EXPECT_EQ(log->Since(0, 10).front().sequence, 3);
  EXPECT_EQ(log->Since(4, 10).front().message, "5");
  EXPECT_EQ(log->Since(0, 2).front().message, "4");
  EXPECT_TRUE(log->Since(5, 10).empty());
}

TEST(Log, AFileThatCannotBeOpenedIsNamed) {
  EXPECT_THAT(std::string(Log::Open({.file = "/no/such/log"}).status().message()),
              HasSubstr("/no/such/log"));
}

TEST(Log, ThreadsNeverMixTheirLines) {
  TemporaryFolder folder;
  auto log = *Log::Open({.to_stderr = false, .file = folder / "log"});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) log->Write(LogLevel::kInfo, "c", "message");
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::stringstream lines(Read(folder / "log"));
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    EXPECT_EQ(line.substr(24), " INFO  c: message");
  }
  EXPECT_EQ(count, 400);
  EXPECT_EQ(log->Since(0, 1000).back().sequence, 400);
}

}  // namespace
}  // namespace carousel
