#include <gtest/gtest.h>

#include <string>

#include "cluster/version.h"
#include "tests/cluster/shell.h"
#include "tests/cluster/temporary_folder.h"

namespace carousel {
namespace {

Exit RunCoordinator(const std::string& flags) {
  const TemporaryFolder folder;
  return RunInShell("coordinator/coordinator " + flags, folder / "stderr");
}

TEST(CoordinatorMain, ExitsWithTwoWhenAFlagIsWrong) {
  for (const char* flags : {"--no-such-flag", "stray", "--lease-seconds soon", "--lease-seconds 1",
                            "--lease_seconds 8 --state x", "", "--state"}) {
    const Exit exit = RunCoordinator(flags);
    EXPECT_EQ(exit.code, 2) << flags << ": " << exit.err;
    EXPECT_EQ(exit.err.rfind("coordinator: ", 0), 0) << exit.err;
    EXPECT_NE(exit.err.find("`coordinator --help`"), std::string::npos) << exit.err;
  }
  EXPECT_NE(RunCoordinator("--no-such-flag").err.find("--no-such-flag"), std::string::npos);
}

TEST(CoordinatorMain, RefusesAnAddressThatIsNone) {
  for (const std::string listen : {"here", "127.0.0.1", "127.0.0.1:", ":7070", "127.0.0.1:http",
                                   "127.0.0.1:-1", "127.0.0.1:65536", "127.0.0.1:99999999999"}) {
    const Exit exit = RunCoordinator("--state /dev/null/folder --listen " + listen);
    EXPECT_EQ(exit.code, 2) << exit.err;
    EXPECT_EQ(exit.err.rfind("coordinator: --listen=" + listen + " is not host:port", 0), 0)
        << exit.err;
  }
}

TEST(CoordinatorMain, ExitsWithOneWhenTheFolderCannotBeUsed) {
  const Exit exit = RunCoordinator("--listen 127.0.0.1:0 --state /dev/null/folder");
  EXPECT_EQ(exit.code, 1) << exit.err;
  EXPECT_NE(exit.err.find("/dev/null"), std::string::npos) << exit.err;
}

TEST(CoordinatorMain, ExplainsItself) {
  const Exit help = RunCoordinator("--help");
  EXPECT_EQ(help.code, 0);
  for (const char* text : {"--listen HOST:PORT", "[127.0.0.1:7070]", "--state DIR REQUIRED",
                           "--insecure", "--lease-seconds", "2 to 3600 [8]", "--version"}) {
    EXPECT_NE(help.out.find(text), std::string::npos) << text << " is not in:\n" << help.out;
  }
  const Exit version = RunCoordinator("--version");
  EXPECT_EQ(version.code, 0);
  EXPECT_EQ(version.out, "coordinator " + std::string(kVersion) + "\n");
}

}  // namespace
}  // namespace carousel
