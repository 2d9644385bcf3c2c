#include "cluster/data/file_io.h"

#include <errno.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/cluster/data/scratch.h"

namespace carousel {
namespace {

using absl::StatusCode;

TEST(SequentialWriterTest, WritesPiecesOfAnySizeInOrderWithTheirHash) {
  const std::string path = ScratchFolder() + "/file";
  auto writer = SequentialWriter::Create(path);
  ASSERT_TRUE(writer.ok());
  std::string expected;
  for (int size : {1, 0, 700000, 500000, 3000000, 5, 1048576, 1}) {
    const std::string piece(size, static_cast<char>('a' + expected.size() % 26));
    ASSERT_TRUE(writer->Append(piece).ok());
    expected += piece;
  }
  ASSERT_TRUE(writer->Finish().ok());

  EXPECT_EQ(ReadText(path), expected);
  EXPECT_EQ(writer->size(), static_cast<int64_t>(expected.size()));
  EXPECT_EQ(writer->Hash(), ContentHash(expected));
  EXPECT_EQ(*HashFile(*RandomAccessFile::Open(path), {}), ContentHash(expected));
}

TEST(SequentialWriterTest, AFullDiskIsNamedAsSuch) {
  auto writer = SequentialWriter::Create("/dev/full");
  ASSERT_TRUE(writer.ok()) << writer.status();
  ASSERT_TRUE(writer->Append("x").ok());
  ExpectError(writer->Finish(), StatusCode::kResourceExhausted,
              {"/dev/full", "No space left", "free some space"});
}

TEST(SequentialWriterTest, AFolderThatIsNotThereIsNamed) {
  ExpectError(SequentialWriter::Create("/nowhere/file").status(), StatusCode::kNotFound,
              {"/nowhere/file", "cannot create"});
}

TEST(RandomAccessFileTest, ReadsExactlyWhatIsAskedForOrFails) {
  const std::string path = WriteText(ScratchFolder() + "/file", "0123456789");
  const auto file = RandomAccessFile::Open(path);
  ASSERT_TRUE(file.ok());
  std::string part(4, ' ');

  ASSERT_TRUE(file->Read(3, 4, part.data()).ok());
  EXPECT_EQ(part, "3456");
  ExpectError(file->Read(8, 4, part.data()), StatusCode::kDataLoss, {path, "byte 10"});
}

TEST(RandomAccessFileTest, OpensRegularFilesOnly) {
  ExpectError(RandomAccessFile::Open("/dev/zero").status(), StatusCode::kInvalidArgument,
              {"/dev/zero", "not a regular file"});
  ExpectError(RandomAccessFile::Open(ScratchFolder()).status(), StatusCode::kInvalidArgument,
              {"not a regular file"});
}

TEST(FileErrorTest, TheCodeTellsWhoCanHelp) {
  EXPECT_EQ(FileError(ENOENT, "open", "f").code(), StatusCode::kNotFound);
  EXPECT_EQ(FileError(EACCES, "open", "f").code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(FileError(EROFS, "create", "f").code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(FileError(ENOSPC, "write", "f").code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(FileError(EDQUOT, "write", "f").code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(FileError(EIO, "read", "f").code(), StatusCode::kInternal);
  EXPECT_EQ(FileError(EACCES, "open", "f").message(), "f: cannot open: Permission denied");
}

TEST(CreateFoldersTest, MakesWhatIsMissingAndLeavesWhatIsThere) {
  const std::string folder = ScratchFolder();
  WriteText(folder + "/file", "x");

  EXPECT_TRUE(CreateFolders(folder + "/a/b/c").ok());
  EXPECT_TRUE(CreateFolders(folder + "/a/b/c").ok());
  EXPECT_TRUE(CreateFolders("").ok());

  EXPECT_TRUE(std::filesystem::is_directory(folder + "/a/b/c"));
  ExpectError(CreateFolders(folder + "/file"), StatusCode::kNotFound,
              {folder + "/file: cannot create: Not a directory"});
  ExpectError(CreateFolders(folder + "/file/a"), StatusCode::kNotFound,
              {folder + "/file", "cannot create"});
}

TEST(ReadSmallFileTest, HasALimit) {
  const std::string path = WriteText(ScratchFolder() + "/file", "12345");
  EXPECT_EQ(*ReadSmallFile(path, 5), "12345");
  ExpectError(ReadSmallFile(path, 4).status(), StatusCode::kInvalidArgument,
              {path, "5 bytes", "limit of 4"});
}

}  // namespace
}  // namespace carousel
