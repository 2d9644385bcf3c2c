// The program as a shell sees it: what it says and how it exits.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>

#include "cluster/version.h"

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
  for (const char* flags : {"--no-such-flag", "stray", "--lease-seconds soon", "--lease-seconds 1",
                            "--lease_seconds 8 --state x", "", "--state"}) {
    const Exit exit = RunCoordinator(flags);
    EXPECT_EQ(exit.code, 2) << flags << ": " << exit.said;
    EXPECT_EQ(exit.said.rfind("coordinator: ", 0), 0) << exit.said;
    EXPECT_NE(exit.said.find("`coordinator --help`"), std::string::npos) << exit.said;
  }
  EXPECT_NE(RunCoordinator("--no-such-flag").said.find("--no-such-flag"), std::string::npos);
}

TEST(CoordinatorMain, RefusesAnAddressThatIsNone) {
  for (const std::string listen : {"here", "127.0.0.1", "127.0.0.1:", ":7070", "127.0.0.1:http",
                                   "127.0.0.1:-1", "127.0.0.1:65536", "127.0.0.1:99999999999"}) {
    const Exit exit = RunCoordinator("--state /dev/null/folder --listen " + listen);
    EXPECT_EQ(exit.code, 2) << exit.said;
    EXPECT_EQ(exit.said.rfind("coordinator: --listen=" + listen + " is not host:port", 0), 0)
        << exit.said;
  }
}

TEST(CoordinatorMain, ExitsWithOneWhenTheFolderCannotBeUsed) {
  const Exit exit = RunCoordinator("--listen 127.0.0.1:0 --state /dev/null/folder");
  EXPECT_EQ(exit.code, 1) << exit.said;
  EXPECT_NE(exit.said.find("/dev/null"), std::string::npos) << exit.said;
}

TEST(CoordinatorMain, ExplainsItself) {
  const Exit help = RunCoordinator("--help");
  EXPECT_EQ(help.code, 0);
  for (const char* text : {"--listen HOST:PORT", "[127.0.0.1:7070]", "--state DIR REQUIRED",
                           "--insecure", "--lease-seconds", "2 to 3600 [8]", "--version"}) {
    EXPECT_NE(help.said.find(text), std::string::npos) << text << " is not in:\n" << help.said;
  }
  const Exit version = RunCoordinator("--version");
  EXPECT_EQ(version.code, 0);
  EXPECT_EQ(version.said, "coordinator " + std::string(kVersion) + "\n");
}

}  // namespace
}  // namespace carousel
