#include "cluster/store_folder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/cluster/temporary_folder.h"

namespace carousel {
namespace {

int ModeOf(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 ? info.st_mode & 0777 : -1;
}

TEST(MakePrivateFolder, MakesTheParentsTooAndOnlyTheLastPrivate) {
  TemporaryFolder folder;
  const mode_t mask = umask(022);

  ASSERT_TRUE(MakePrivateFolder(folder / "a/b/store").ok());
  ASSERT_TRUE(MakePrivateFolder(folder / "a/b/store/").ok()) << "a second time";

  umask(mask);
  EXPECT_EQ(ModeOf(folder / "a"), 0755);
  EXPECT_EQ(ModeOf(folder / "a/b/store"), 0700);
}

TEST(MakePrivateFolder, TakesAPathFromHere) {
  TemporaryFolder folder;
  const std::filesystem::path here = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());

  const absl::Status made = MakePrivateFolder("./x/../y/store");

  std::filesystem::current_path(here);
  EXPECT_TRUE(made.ok()) << made;
  EXPECT_EQ(ModeOf(folder / "y/store"), 0700);
}

TEST(MakePrivateFolder, KeepsTheModeOfAFolderThatIsThere) {
  TemporaryFolder folder;
  ASSERT_TRUE(std::filesystem::create_directory(folder / "store"));
  ASSERT_EQ(chmod((folder / "store").c_str(), 0750), 0);

  ASSERT_TRUE(MakePrivateFolder(folder / "store").ok());

  EXPECT_EQ(ModeOf(folder / "store"), 0750);
}

TEST(MakePrivateFolder, NamesAFileThatIsInTheWay) {
  TemporaryFolder folder;
  std::ofstream(folder / "file") << "x";
  for (const std::string& path : {folder / "file", folder / "file/store"}) {
    const absl::Status refused = MakePrivateFolder(path);
    EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition) << refused;
    EXPECT_EQ(refused.message(), path + " is a file, or below one; give a folder or a new name");
  }
}

}  // namespace
}  // namespace carousel
