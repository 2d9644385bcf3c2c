// A full disk: refused by name, nothing acknowledged is lost, and the store goes on by itself when
// there is space again. Told twice: on a small file system of its own, where that may be mounted,
// and everywhere with a limit on the size of files.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>

#include "cluster/shard_store.h"
#include "cluster/store.h"
#include "cluster/store_folder.h"
#include "tests/cluster/checkpoint_testing.h"
#include "tests/cluster/temporary_folder.h"

namespace carousel {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

void WriteFile(const std::string& path, const std::string& text) {
  const int file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return;
  [[maybe_unused]] ssize_t written = write(file, text.data(), text.size());
  close(file);
}

// Mounts a file system of 96 MiB on `folder`, seen by this process alone; false if that is not
// permitted here. Must come before any thread.
bool MountSmallFileSystem(const std::string& folder) {
  const std::string uid = std::to_string(getuid()), gid = std::to_string(getgid());
  if (unshare(CLONE_NEWNS) != 0) {
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
    WriteFile("/proc/self/setgroups", "deny");
    WriteFile("/proc/self/uid_map", "0 " + uid + " 1");
    WriteFile("/proc/self/gid_map", "0 " + gid + " 1");
  }
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  return mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=96m") == 0;
}

// Leaves about `bytes` free on the file system of `path`.
void FillUp(const std::string& path, uint64_t bytes) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_GE(file, 0);
  ASSERT_EQ(posix_fallocate(file, 0, *FreeBytes(fs::path(path).parent_path()) - bytes), 0);
  close(file);
}

absl::Status Put(Store& store, int number) {
  StoreBatch batch;
  batch.Put("key" + std::to_string(number), std::string(50000, 'v'));
  return store.Commit(batch);
}

// Puts until the disk is full; how many were acknowledged.
int PutUntilFull(Store& store, absl::Status* last) {
  for (int number = 0; number < 5000; ++number) {
    *last = Put(store, number);
    if (!last->ok()) return number;
  }
  return -1;
}

void ExpectAllThere(const Store& store, int acknowledged) {
  for (int number = 0; number < acknowledged; ++number) {
    ASSERT_TRUE(store.Get("key" + std::to_string(number)).ok()) << number << " of " << acknowledged;
  }
}

void ExpectFull(const absl::Status& status, const std::string& folder) {
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(folder));
  EXPECT_THAT(std::string(status.message()), HasSubstr("free space"));
}

void RecordsStory(const std::string& folder) {
  auto store = *OpenRocksDbStore(folder + "/records");
  FillUp(folder + "/ballast", 3 << 20);
  absl::Status status;
  const int acknowledged = PutUntilFull(*store, &status);
  ASSERT_GT(acknowledged, 5);
  ExpectFull(status, folder);
  ExpectAllThere(*store, acknowledged);
  ExpectFull(Put(*store, 9999), folder);
  ExpectAllThere(*store, acknowledged);

  fs::remove(folder + "/ballast");
  absl::Status again = Put(*store, acknowledged);
  EXPECT_TRUE(again.ok()) << again;
  ExpectAllThere(*store, acknowledged + 1);
}

void ShardsStory(const std::string& folder) {
  auto store = *OpenRocksDbStore(folder + "/shards");
  ShardStore shards(store.get());
  ASSERT_TRUE(WriteShard(shards, LargeDraft("job", 10, 0)).ok());

  // Refused before anything is written.
  FillUp(folder + "/ballast", 20 << 20);
  ExpectFull(WriteShard(shards, LargeDraft("job", 20, 0)).status(), folder);

  // Space that vanishes while the shard is being written.
  fs::remove(folder + "/ballast");
  ShardRecord draft = LargeDraft("job", 20, 0);
  {
    auto writer = *shards.NewShard(draft);
    FillUp(folder + "/ballast", 6 << 20);
    absl::Status status;
    for (const ChunkSpan& chunk : ChunksOf(draft)) {
      if (status.ok()) status = writer->Add(chunk.place, MadeUpBytes(draft, chunk));
    }
    if (status.ok()) status = writer->Finish(MadeUpDigest(draft)).status();
    ExpectFull(status, folder);
  }
  EXPECT_TRUE(fs::is_empty(folder + "/shards/rocksdb.staging"));
  EXPECT_TRUE((*shards.OpenShard({"job", 10, 0}))->Verify().ok()) << "the last good one is intact";

  fs::remove(folder + "/ballast");
  EXPECT_TRUE(WriteShard(shards, draft).ok());
  EXPECT_TRUE((*shards.OpenShard({"job", 20, 0}))->Verify().ok());
}

TEST(DiskFull, OnASmallFileSystem) {
  TemporaryFolder folder;
  if (!MountSmallFileSystem(folder.path())) {
    GTEST_SKIP() << "no file system may be mounted here: " << strerror(errno);
  }
  RecordsStory(folder.path());
  ShardsStory(folder.path());
  umount2(folder.path().c_str(), MNT_DETACH);
}

TEST(DiskFull, WithALimitOnTheSizeOfFiles) {
  TemporaryFolder folder;
  auto store = *OpenRocksDbStore(folder.path());
  signal(SIGXFSZ, SIG_IGN);
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small = {300000, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  absl::Status status;
  const int acknowledged = PutUntilFull(*store, &status);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);

  ASSERT_GT(acknowledged, 3);
  ExpectFull(status, folder.path());
  ExpectAllThere(*store, acknowledged);
  absl::Status again = Put(*store, acknowledged);
  EXPECT_TRUE(again.ok()) << again;
  ExpectAllThere(*store, acknowledged + 1);
}

}  // namespace
}  // namespace carousel
