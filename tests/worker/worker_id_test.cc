#include "worker/worker_id.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/cluster/temporary_folder.h"

namespace carousel {
namespace {

TEST(WorkerId, IsMadeOnceAndKept) {
  const TemporaryFolder folder;

  const auto first = WorkerIdOf(folder.path());
  const auto again = WorkerIdOf(folder.path());

  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_THAT(*first, ::testing::MatchesRegex("w-[0-9a-f]+"));
  EXPECT_EQ(first->size(), 10u);
  EXPECT_EQ(*again, *first);
  EXPECT_FALSE(std::filesystem::exists(folder / "worker-id.new"));
}

TEST(WorkerId, TwoFoldersAreTwoWorkers) {
  const TemporaryFolder one, other;

  EXPECT_NE(*WorkerIdOf(one.path()), *WorkerIdOf(other.path()));
}

TEST(WorkerId, AFileThatAKillLeftEmptyIsWrittenAnew) {
  const TemporaryFolder folder;
  std::ofstream(folder / "worker-id").close();

  const auto id = WorkerIdOf(folder.path());

  ASSERT_TRUE(id.ok()) << id.status();
  EXPECT_EQ(*WorkerIdOf(folder.path()), *id);
}

TEST(WorkerId, AFolderThatIsNotThereIsNamed) {
  const TemporaryFolder folder;

  const auto id = WorkerIdOf(folder / "missing");

  ASSERT_FALSE(id.ok());
  EXPECT_THAT(std::string(id.status().message()), ::testing::HasSubstr("missing/worker-id"));
}

}  // namespace
}  // namespace carousel
