#include "cluster/data/staging_folder.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/cluster/data/scratch.h"

namespace carousel {
namespace {

namespace fs = std::filesystem;

TEST(StagingFolderTest, AppearsUnderItsNameWhenCommitted) {
  const std::string destination = ScratchFolder() + "/deep/er/set";
  auto staging = StagingFolder::Create(destination);
  ASSERT_TRUE(staging.ok()) << staging.status();
  WriteText((*staging)->path() + "/tokens.bin", "x");
  EXPECT_FALSE(fs::exists(destination));

  ASSERT_TRUE((*staging)->Commit().ok());
  staging->reset();

  EXPECT_EQ(ReadText(destination + "/tokens.bin"), "x");
  EXPECT_FALSE(fs::exists(destination + ".building"));
}

TEST(StagingFolderTest, LeavesNothingWithoutACommit) {
  const std::string folder = ScratchFolder();
  auto staging = StagingFolder::Create(folder + "/set");
  ASSERT_TRUE(staging.ok());
  WriteText((*staging)->path() + "/tokens.bin", "x");

  staging->reset();

  EXPECT_TRUE(fs::is_empty(folder));
}

TEST(StagingFolderTest, RemovesWhatAKilledBuildLeft) {
  const std::string folder = ScratchFolder();
  fs::create_directory(folder + "/set.building");
  WriteText(folder + "/set.building/tokens.bin", "half");
  WriteText(folder + "/set.building/tokens.lengths.spill", "half");

  auto staging = StagingFolder::Create(folder + "/set");

  ASSERT_TRUE(staging.ok()) << staging.status();
  EXPECT_TRUE(fs::is_empty((*staging)->path()));
}

TEST(StagingFolderTest, TouchesNoFolderThatHoldsSomethingElse) {
  const std::string folder = ScratchFolder();
  fs::create_directory(folder + "/set.building");
  WriteText(folder + "/set.building/thesis.tex", "years of work");
  WriteText(folder + "/set.building/tokens.bin", "x");

  ExpectError(StagingFolder::Create(folder + "/set").status(),
              absl::StatusCode::kFailedPrecondition, {"set.building", "thesis.tex"});

  EXPECT_TRUE(fs::exists(folder + "/set.building/tokens.bin"));
}

TEST(StagingFolderTest, OneBuildAtATime) {
  const std::string folder = ScratchFolder();
  auto first = StagingFolder::Create(folder + "/set");
  ASSERT_TRUE(first.ok());

  ExpectError(StagingFolder::Create(folder + "/set").status(), absl::StatusCode::kUnavailable,
              {"another process"});
  first->reset();
  EXPECT_TRUE(StagingFolder::Create(folder + "/set").ok());
}

TEST(StagingFolderTest, WillNotReplaceWhatIsThere) {
  const std::string folder = ScratchFolder();
  fs::create_directory(folder + "/set");
  WriteText(folder + "/set/a", "x");
  WriteText(folder + "/file", "x");

  for (const std::string name : {"/set", "/set/", "/file"}) {
    ExpectError(StagingFolder::Create(folder + name).status(), absl::StatusCode::kAlreadyExists,
                {"already exists"});
  }
}

TEST(StagingFolderTest, FillsAnEmptyFolder) {
  const std::string folder = ScratchFolder();
  fs::create_directory(folder + "/set");
  auto staging = StagingFolder::Create(folder + "/set/");
  ASSERT_TRUE(staging.ok()) << staging.status();
  WriteText((*staging)->path() + "/tokens.bin", "x");

  ASSERT_TRUE((*staging)->Commit().ok());
  EXPECT_EQ(ReadText(folder + "/set/tokens.bin"), "x");
}

TEST(StagingFolderTest, WhoComesSecondAtTheEndGivesUp) {
  const std::string folder = ScratchFolder();
  auto staging = StagingFolder::Create(folder + "/set");
  ASSERT_TRUE(staging.ok());
  fs::create_directory(folder + "/set");
  WriteText(folder + "/set/a", "theirs");

  EXPECT_FALSE((*staging)->Commit().ok());
  staging->reset();
  EXPECT_EQ(ReadText(folder + "/set/a"), "theirs");
  EXPECT_FALSE(fs::exists(folder + "/set.building"));
}

TEST(StagingFolderTest, NeedsTheNameOfAFolder) {
  for (const char* name : {"", ".", "..", "/", "a/.."}) {
    ExpectError(StagingFolder::Create(name).status(), absl::StatusCode::kInvalidArgument,
                {"output folder"});
  }
}

}  // namespace
}  // namespace carousel
