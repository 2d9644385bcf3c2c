// What only a store on disk can suffer: other processes, damage, leftovers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "cluster/store.h"
#include "tests/cluster/temporary_folder.h"

namespace carousel {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::unique_ptr<Store> Open(const std::string& folder) {
  absl::StatusOr<std::unique_ptr<Store>> store = OpenRocksDbStore(folder);
  EXPECT_TRUE(store.ok()) << store.status();
  return store.ok() ? *std::move(store) : nullptr;
}

void Put(Store& store, const std::string& key, const std::string& value) {
  StoreBatch batch;
  batch.Put(key, value);
  ASSERT_TRUE(store.Commit(batch).ok());
}

void PutBulk(Store& store, const std::string& key, const std::string& value) {
  auto ingest = *store.NewIngest(value.size());
  ASSERT_TRUE(ingest->Add(key, value).ok());
  ASSERT_TRUE(ingest->Finish().ok());
}

// The files of a store as a kill -9 at this moment would leave them.
std::string CopyAsIfKilled(const TemporaryFolder& root, const std::string& folder) {
  static int copies = 0;
  const std::string copy = root / ("copy" + std::to_string(copies++));
  fs::copy(folder, copy, fs::copy_options::recursive);
  return copy;
}

// The largest file with the extension.
std::string FileOf(const std::string& folder, const std::string& extension) {
  fs::path best;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != extension) continue;
    if (best.empty() || entry.file_size() > fs::file_size(best)) best = entry.path();
  }
  return best;
}

void FlipByte(const std::string& path, uint64_t at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(at);
  const char byte = static_cast<char>(file.get() ^ 0x10);
  file.seekp(at);
  file.put(byte);
  ASSERT_TRUE(file.good()) << path;
}

uint64_t BytesOnDisk(const std::string& folder) {
  uint64_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().extension() == ".sst") bytes += entry.file_size();
  }
  return bytes;
}

mode_t ModeOf(const std::string& path) {
  struct stat info = {};
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 0777;
}

TEST(RocksDbStore, KeepsItsDataPrivate) {
  TemporaryFolder root;
  auto store = Open(root / "new/store");
  EXPECT_EQ(ModeOf(root / "new/store"), 0700);
  EXPECT_EQ(ModeOf(root / "new/store/rocksdb"), 0700);
  EXPECT_EQ(ModeOf(root / "new/store/rocksdb.staging"), 0700);
}

TEST(RocksDbStore, FindsEverythingAgainAfterReopening) {
  TemporaryFolder root;
  {
    auto store = Open(root.path());
    Put(*store, "a", "1");
    PutBulk(*store, "~a", "2");
  }
  auto store = Open(root.path());
  EXPECT_EQ(*store->Get("a"), "1");
  EXPECT_EQ(*store->Get("~a"), "2");
}

TEST(RocksDbStore, AFolderInUseIsRefusedByName) {
  TemporaryFolder root;
  auto store = Open(root.path());
  absl::StatusOr<std::unique_ptr<Store>> second = OpenRocksDbStore(root.path());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(
      std::string(second.status().message()),
      AllOf(HasSubstr(root.path()), HasSubstr("in use"), HasSubstr("another state folder")));
}

TEST(RocksDbStore, ARefusedOpenLeavesTheOwnersStagingAlone) {
  TemporaryFolder root;
  auto store = Open(root.path());
  auto ingest = *store->NewIngest(10);
  ASSERT_TRUE(ingest->Add("~a", "1").ok());
  ASSERT_FALSE(OpenRocksDbStore(root.path()).ok());
  ASSERT_TRUE(ingest->Finish().ok());
  EXPECT_EQ(*store->Get("~a"), "1");
}

TEST(RocksDbStore, LeftoversOfAnInterruptedIngestAreRemoved) {
  TemporaryFolder root;
  Open(root.path());
  std::ofstream(root / "rocksdb.staging/7.sst") << "half a file";
  auto store = Open(root.path());
  EXPECT_TRUE(fs::is_empty(root / "rocksdb.staging"));
}

TEST(RocksDbStore, AFinishedIngestLeavesNoStagingFile) {
  TemporaryFolder root;
  auto store = Open(root.path());
  PutBulk(*store, "~a", "1");
  EXPECT_TRUE(fs::is_empty(root / "rocksdb.staging"));
}

TEST(RocksDbStore, AFileInPlaceOfTheFolderIsNamed) {
  TemporaryFolder root;
  std::ofstream(root / "file") << "text";
  absl::StatusOr<std::unique_ptr<Store>> store = OpenRocksDbStore(root / "file");
  EXPECT_THAT(std::string(store.status().message()), HasSubstr("file is a file"));
}

TEST(RocksDbStore, AcknowledgedBatchesSurviveAKill) {
  TemporaryFolder root;
  auto store = Open(root / "live");
  for (int i = 0; i < 10; ++i) Put(*store, "key" + std::to_string(i), "value");
  auto copy = Open(CopyAsIfKilled(root, root / "live"));
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(copy->Get("key" + std::to_string(i)).ok()) << i;
}

TEST(RocksDbStore, ATornLastRecordOfTheLogIsForgiven) {
  TemporaryFolder root;
  auto store = Open(root / "live");
  for (int i = 0; i < 10; ++i) Put(*store, "key" + std::to_string(i), std::string(100, 'v'));
  const std::string copy = CopyAsIfKilled(root, root / "live");
  const std::string log = FileOf(copy, ".log");
  fs::resize_file(log, fs::file_size(log) - 20);
  auto reopened = Open(copy);
  EXPECT_TRUE(reopened->Get("key8").ok());
  EXPECT_FALSE(reopened->Get("key9").ok());
}

// With RocksDB's default mode this opens, and every batch after the flip is silently gone.
TEST(RocksDbStore, AFlippedBitInTheLogIsRefusedNotSwallowed) {
  TemporaryFolder root;
  auto store = Open(root / "live");
  for (int i = 0; i < 10; ++i) Put(*store, "key" + std::to_string(i), std::string(100, 'v'));
  const std::string copy = CopyAsIfKilled(root, root / "live");
  FlipByte(FileOf(copy, ".log"), 400);
  absl::StatusOr<std::unique_ptr<Store>> damaged = OpenRocksDbStore(copy);
  EXPECT_EQ(damaged.status().code(), absl::StatusCode::kDataLoss) << damaged.status();
  EXPECT_THAT(std::string(damaged.status().message()), HasSubstr(copy));
}

TEST(RocksDbStore, ASealedBatchSurvivesTheLossOfTheLog) {
  TemporaryFolder root;
  auto store = Open(root / "live");
  StoreBatch batch;
  batch.seal = true;
  batch.Put("precious", "1");
  ASSERT_TRUE(store->Commit(batch).ok());
  const std::string copy = CopyAsIfKilled(root, root / "live");
  fs::remove(FileOf(copy, ".log"));
  auto reopened = Open(copy);
  EXPECT_TRUE(reopened->Get("precious").ok());
}

TEST(RocksDbStore, AFlippedBitInABulkFileIsDataLoss) {
  TemporaryFolder root;
  auto store = Open(root / "live");
  PutBulk(*store, "~a", std::string(100000, 'v'));
  const std::string copy = CopyAsIfKilled(root, root / "live");
  FlipByte(FileOf(copy, ".sst"), 50000);
  auto damaged = Open(copy);
  EXPECT_EQ(damaged->Get("~a").status().code(), absl::StatusCode::kDataLoss);
}

TEST(RocksDbStore, AStoreWithoutItsCurrentFileIsNotTakenForNew) {
  TemporaryFolder root;
  {
    auto store = Open(root.path());
    PutBulk(*store, "~a", "1");
  }
  fs::remove(root / "rocksdb/CURRENT");
  absl::StatusOr<std::unique_ptr<Store>> store = OpenRocksDbStore(root.path());
  EXPECT_EQ(store.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(store.status().message()), HasSubstr("CURRENT"));
}

TEST(RocksDbStore, RemovingAPrefixGivesItsFilesBackAtOnce) {
  TemporaryFolder root;
  auto store = Open(root.path());
  for (const char* key : {"~a", "~b", "~c"}) PutBulk(*store, key, std::string(1 << 20, 'v'));
  const uint64_t before = BytesOnDisk(root.path());
  ASSERT_TRUE(store->RemovePrefix("~b").ok());
  EXPECT_LT(BytesOnDisk(root.path()), before - (1 << 20));
  EXPECT_TRUE(store->Get("~a").ok());
  EXPECT_TRUE(store->Get("~c").ok());
}

TEST(RocksDbStore, AFolderThatCannotBeMadeIsNamed) {
  absl::StatusOr<std::unique_ptr<Store>> store = OpenRocksDbStore("/proc/no/store");
  ASSERT_FALSE(store.ok());
  EXPECT_THAT(std::string(store.status().message()), HasSubstr("/proc/no"));
}

}  // namespace
}  // namespace carousel
