// Files for tests: a folder of its own per test, and text in and out of it.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace carousel {

// An empty folder, new for each test.
inline std::string ScratchFolder() {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  const char* root = std::getenv("TEST_TMPDIR");
  const std::string path = std::string(root ? root : ::testing::TempDir()) + "/" +
                           test->test_suite_name() + "." + test->name();
  std::filesystem::remove_all(path);
  std::filesystem::create_directories(path);
  return path;
}

inline std::string WriteText(const std::string& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

inline std::string ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The status has this code, and its message contains every one of `words`.
inline void ExpectError(const absl::Status& status, absl::StatusCode code,
                        std::initializer_list<std::string_view> words) {
  EXPECT_EQ(status.code(), code) << status.ToString();
  for (std::string_view word : words) {
    EXPECT_NE(std::string(status.message()).find(word), std::string::npos)
        << "\"" << word << "\" is not in: " << status.ToString();
  }
}

}  // namespace carousel
