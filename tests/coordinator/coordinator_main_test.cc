// The program as a shell sees it: what it says and how it exits.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>

namespace carousel {
namespace {

struct Exit {
  int code = -1;
  std::string said;
};

Exit RunCoordinator(const std::string& flags) {
  FILE* program = popen(("coordinator/coordinator " + flags + " 2>&1").c_str(), "r");
  Exit exit;
  std::array<char, 4096> bytes;
  while (size_t read = fread(bytes.data(), 1, bytes.size(), program)) {
    exit.said.append(bytes.data(), read);
  }
  const int status = pclose(program);
  if (WIFEXITED(status)) exit.code = WEXITSTATUS(status);
  return exit;
}

TEST(CoordinatorMain, ExitsWithTwoWhenAFlagIsWrong) {
  for (const char* flags : {"--no-such-flag", "stray", "--lease_seconds soon", "--lease_seconds 1",
                            "--lease-seconds 1", "", "--state"}) {
    const Exit exit = RunCoordinator(flags);
    EXPECT_EQ(exit.code, 2) << flags << ": " << exit.said;
    EXPECT_EQ(exit.said.rfind("coordinator: ", 0), 0) << exit.said;
  }
  EXPECT_NE(RunCoordinator("--no-such-flag").said.find("--no-such-flag"), std::string::npos);
}

TEST(CoordinatorMain, ExitsWithOneWhenTheFolderCannotBeUsed) {
  const Exit exit = RunCoordinator("--listen 127.0.0.1:0 --state /dev/null/folder");
  EXPECT_EQ(exit.code, 1) << exit.said;
  EXPECT_NE(exit.said.find("/dev/null"), std::string::npos) << exit.said;
}

TEST(CoordinatorMain, ExplainsItself) {
  const Exit help = RunCoordinator("--help");
  EXPECT_EQ(help.code, 0);
  for (const char* flag : {"--listen", "--state", "--insecure", "--lease_seconds"}) {
    EXPECT_NE(help.said.find(flag), std::string::npos) << flag;
  }
  EXPECT_EQ(RunCoordinator("--version").said, "0.1.0\n");
}

}  // namespace
}  // namespace carousel
