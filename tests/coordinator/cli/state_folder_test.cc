#include "coordinator/cli/state_folder.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/cluster/temporary_folder.h"

namespace carousel {
namespace {

// The id of a process that is over.
pid_t Dead() {
  const pid_t pid = fork();
  if (pid == 0) _exit(0);
  waitpid(pid, nullptr, 0);
  return pid;
}

class StateFolderTest : public testing::Test {
 protected:
  // As children do whose parent, `holder`, was killed.
  int Hold(pid_t holder) const {
    std::filesystem::create_directory(path_);
    std::ofstream(path_ + "/lock") << holder << "\n";
    const int lock = open((path_ + "/lock").c_str(), O_RDWR | O_CLOEXEC);
    EXPECT_EQ(flock(lock, LOCK_EX), 0);
    return lock;
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_ / "state";
};

TEST_F(StateFolderTest, WaitsForTheChildrenOfAKilledUser) {
  const int lock = Hold(Dead());
  int asked = 0;
  const auto taken = StateFolder::Take(path_, [&] {
    if (++asked == 3) close(lock);  // the last one is gone
    return false;
  });
  EXPECT_TRUE(taken.ok()) << taken.status();
}

TEST_F(StateFolderTest, NobodyWaitsForWhatIsNotWantedAnyMore) {
  const int lock = Hold(Dead());
  const auto taken = StateFolder::Take(path_, [] { return true; });
  EXPECT_EQ(taken.status().code(), absl::StatusCode::kCancelled);
  close(lock);
}

TEST_F(StateFolderTest, RefusesAFolderInUseAndNamesItsUser) {
  const int lock = Hold(getpid());
  const auto taken = StateFolder::Take(path_, NeverAbandoned);
  EXPECT_EQ(taken.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(std::string(taken.status().message()).find(std::to_string(getpid())),
            std::string::npos);
  close(lock);
}

TEST_F(StateFolderTest, ListsWorkersByTheirNumbers) {
  const auto taken = StateFolder::Take(path_, NeverAbandoned);
  ASSERT_TRUE(taken.ok()) << taken.status();
  for (const char* name : {"worker-10", "worker-2", "worker-x", "worker-3b", "other-1"}) {
    std::filesystem::create_directory(path_ + "/" + name);
  }
  EXPECT_EQ((*taken)->Workers(), (std::vector<int>{2, 10}));
}

}  // namespace
}  // namespace carousel
