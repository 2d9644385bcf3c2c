// kill -9 at random times. A child does what a job does at every checkpoint: write shards, commit
// the manifest with its journal event, acknowledge, sweep. It is killed again and again; after each
// kill everything acknowledged must be there, whole and to the bit, and nothing else must be left.
//
// The child is this binary again (its first argument says so): RocksDB's threads do not survive a
// plain fork.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <random>
#include <set>
#include <thread>

#include "cluster/keys.h"
#include "cluster/manifest_store.h"
#include "cluster/shard_store.h"
#include "cluster/store_identity.h"
#include "tests/cluster/checkpoint_testing.h"
#include "tests/cluster/temporary_folder.h"

namespace carousel {
namespace {

constexpr int kKills = 40;
constexpr int kUnits = 2;
constexpr int kKeep = 3;
constexpr char kChildFlag[] = "--checkpoint-until-killed";

ShardRecord DraftOf(int64_t step, uint32_t unit) {
  ShardRecord draft = SmallDraft("job", step, unit);
  AddTensor(draft, "large", {300, 1000});
  return draft;
}

std::set<int64_t> CommittedSteps(const ManifestStore& manifests) {
  std::set<int64_t> steps;
  const std::vector<ListedManifest> listed = *manifests.List("job");
  for (const ListedManifest& manifest : listed) steps.insert(manifest.step);
  return steps;
}

std::unique_ptr<Store> OpenClaimed(const std::string& folder, std::string_view role) {
  absl::StatusOr<std::unique_ptr<Store>> store = OpenRocksDbStore(folder);
  absl::Status status = store.ok() ? ClaimStore(**store, "cluster", role) : store.status();
  if (status.ok()) return *std::move(store);
  ADD_FAILURE() << status;
  return nullptr;
}

// Both stores of a small cluster.
struct Stores {
  explicit Stores(const std::string& folder)
      : worker(OpenClaimed(folder + "/worker", kWorkerRole)),
        coordinator(OpenClaimed(folder + "/coordinator", kCoordinatorRole)),
        shards(worker.get()),
        manifests(coordinator.get()) {}

  std::unique_ptr<Store> worker, coordinator;
  ShardStore shards;
  ManifestStore manifests;
};

absl::Status Checkpoint(Stores& stores, int64_t step) {
  std::vector<ShardRecord> records;
  for (uint32_t unit = 0; unit < kUnits; ++unit) {
    absl::StatusOr<ShardRecord> record = WriteShard(stores.shards, DraftOf(step, unit));
    if (!record.ok()) return record.status();
    records.push_back(*std::move(record));
  }
  StoreBatch journal;
  journal.Put(JournalKey(step), "committed");
  return stores.manifests.Commit(ManifestOf(records), kKeep, journal);
}

// Never returns of its own accord unless something fails.
int CheckpointUntilKilled(const std::string& folder) {
  Stores stores(folder);
  absl::StatusOr<FoundManifest> latest = stores.manifests.Latest("job");
  for (int64_t step = latest.ok() ? latest->manifest.step() + 1 : 1;; ++step) {
    absl::Status status = Checkpoint(stores, step);
    if (!status.ok()) {
      fprintf(stderr, "step %ld: %s\n", static_cast<long>(step), status.ToString().c_str());
      return 1;
    }
    if (write(STDOUT_FILENO, &step, sizeof(step)) != sizeof(step)) return 1;
    if (!stores.shards.Sweep("job", CommittedSteps(stores.manifests)).ok()) return 1;
  }
}

// A running child and the steps that it acknowledges.
class Child {
 public:
  explicit Child(const std::string& folder) {
    int ends[2];
    if (pipe(ends) != 0) std::abort();
    pid_ = fork();
    if (pid_ == 0) {
      dup2(ends[1], STDOUT_FILENO);
      close(ends[0]);
      execl("/proc/self/exe", "kill_test", kChildFlag, folder.c_str(), nullptr);
      _exit(127);
    }
    close(ends[1]);
    acknowledgements_ = ends[0];
  }

  // The next acknowledged step, 0 if the child is gone.
  int64_t Next() {
    int64_t step = 0;
    return read(acknowledgements_, &step, sizeof(step)) == sizeof(step) ? step : 0;
  }

  // The last step that was acknowledged before the kill, 0 if none was since the last Next().
  int64_t Kill() {
    kill(pid_, SIGKILL);
    int status = 0;
    waitpid(pid_, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status)) << "the child gave up by itself";
    int64_t last = 0;
    for (int64_t step = Next(); step != 0; step = Next()) last = step;
    close(acknowledgements_);
    return last;
  }

 private:
  pid_t pid_ = -1;
  int acknowledgements_ = -1;
};

void ExpectWhole(Stores& stores, const Manifest& manifest) {
  ASSERT_EQ(manifest.units_size(), kUnits);
  for (const ShardRef& unit : manifest.units()) {
    auto reader = stores.shards.OpenShard({"job", manifest.step(), unit.unit()});
    ASSERT_TRUE(reader.ok()) << reader.status();
    EXPECT_TRUE((*reader)->Verify().ok()) << (*reader)->Verify();
    EXPECT_EQ(unit.digest(), MadeUpDigest(DraftOf(manifest.step(), unit.unit())).AsBytes());
  }
}

void ExpectNothingLeftOver(Stores& stores, size_t checkpoints) {
  EXPECT_EQ(stores.shards.List()->size(), checkpoints * kUnits);
  size_t chunks = 0;
  ASSERT_TRUE(stores.worker->Scan("~", [&](auto, auto) { return ++chunks > 0; }).ok());
  EXPECT_EQ(chunks, checkpoints * kUnits * 3 * kParts);
}

// The checkpoints after a kill; the newest step.
int64_t ExpectRecovered(const std::string& folder, int64_t acknowledged) {
  Stores stores(folder);
  EXPECT_TRUE(std::filesystem::is_empty(folder + "/worker/rocksdb.staging"));
  EXPECT_TRUE(stores.manifests.VerifyChain("job").ok()) << stores.manifests.VerifyChain("job");
  const std::vector<ListedManifest> listed = *stores.manifests.List("job");
  if (listed.empty()) {
    EXPECT_EQ(acknowledged, 0);
    return 0;
  }
  for (const ListedManifest& manifest : listed) ExpectWhole(stores, manifest.found->manifest);
  const int64_t newest = listed.back().step;
  EXPECT_GE(newest, acknowledged) << "an acknowledged checkpoint is lost";
  EXPECT_LE(newest, acknowledged + 1) << "a checkpoint came from nowhere";
  for (int64_t step = 1; step <= newest + 1; ++step) {
    EXPECT_EQ(stores.coordinator->Get(JournalKey(step)).ok(), step <= newest) << step;
  }
  EXPECT_TRUE(stores.shards.Sweep("job", CommittedSteps(stores.manifests)).ok());
  ExpectNothingLeftOver(stores, listed.size());
  return newest;
}

TEST(Kill, EveryAcknowledgedCheckpointSurvives) {
  TemporaryFolder folder;
  std::mt19937 random(7);
  int64_t newest = 0;
  for (int i = 0; i < kKills && !HasFailure(); ++i) {
    int64_t acknowledged = newest;
    Child child(folder.path());
    for (int wanted = random() % 4; wanted > 0; --wanted) {
      const int64_t step = child.Next();
      ASSERT_EQ(step, acknowledged + 1);
      acknowledged = step;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 40000));
    acknowledged = std::max(acknowledged, child.Kill());
    newest = ExpectRecovered(folder.path(), acknowledged);
  }
  EXPECT_GE(newest, kKills) << "too little was done between the kills to prove anything";
  printf("%d kills, %ld checkpoints, none lost\n", kKills, static_cast<long>(newest));
}

}  // namespace
}  // namespace carousel

int main(int argc, char** argv) {
  if (argc == 3 && std::string(argv[1]) == carousel::kChildFlag) {
    return carousel::CheckpointUntilKilled(argv[2]);
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
