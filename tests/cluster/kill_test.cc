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
#include <thread>

#include "cluster/store_identity.h"
#include "tests/cluster/small_cluster.h"
#include "tests/cluster/temporary_folder.h"

namespace carousel {
namespace {

constexpr int kKills = 40;
constexpr char kChildFlag[] = "--checkpoint-until-killed";

std::unique_ptr<Store> OpenClaimed(const std::string& folder, std::string_view role) {
  absl::StatusOr<std::unique_ptr<Store>> store = OpenRocksDbStore(folder);
  absl::Status status = store.ok() ? ClaimStore(**store, "cluster", role) : store.status();
  if (status.ok()) return *std::move(store);
  ADD_FAILURE() << status;
  return nullptr;
}

struct ClusterOnDisk {
  explicit ClusterOnDisk(const std::string& folder)
      : worker(OpenClaimed(folder + "/worker", kWorkerRole)),
        coordinator(OpenClaimed(folder + "/coordinator", kCoordinatorRole)),
        cluster(worker.get(), coordinator.get(), /*rows=*/300) {}

  std::unique_ptr<Store> worker, coordinator;
  SmallCluster cluster;
};

// Never returns of its own accord unless something fails.
int CheckpointUntilKilled(const std::string& folder) {
  ClusterOnDisk disk(folder);
  absl::StatusOr<FoundManifest> latest = disk.cluster.manifests.Latest("job");
  for (int64_t step = latest.ok() ? latest->manifest.step() + 1 : 1;; ++step) {
    absl::Status status = disk.cluster.Checkpoint(step);
    if (!status.ok()) {
      fprintf(stderr, "step %ld: %s\n", static_cast<long>(step), status.ToString().c_str());
      return 1;
    }
    if (write(STDOUT_FILENO, &step, sizeof(step)) != sizeof(step)) return 1;
    if (!disk.cluster.SweepBehind(step).ok()) return 1;
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
    ClusterOnDisk disk(folder.path());
    EXPECT_TRUE(std::filesystem::is_empty(folder / "worker/rocksdb.staging"));
    newest = ExpectRecovered(disk.cluster, acknowledged);
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
