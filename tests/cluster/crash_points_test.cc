// A crash before each change of a store, one after the other: where kill_test.cc throws dice, this
// visits every point between two durable operations of the commit protocol.
#include <gtest/gtest.h>

#include "tests/cluster/small_cluster.h"

namespace carousel {
namespace {

// How many changes the process still makes before it dies; both stores of a cluster share it.
struct Lifetime {
  int changes_left = 1 << 30;
  bool Dies() { return changes_left == 0 || --changes_left < 0; }
};

absl::Status Dead() { return absl::AbortedError("the process is dead"); }

// A store that changes nothing any more once its process is dead. What lies below is the disk.
class MortalStore : public Store {
 public:
  MortalStore(Store* disk, Lifetime* lifetime) : disk_(disk), lifetime_(lifetime) {}

  std::string Name() const override { return disk_->Name(); }
  absl::StatusOr<std::string> Get(std::string_view key) const override { return disk_->Get(key); }
  absl::Status Commit(const StoreBatch& batch) override {
    return lifetime_->Dies() ? Dead() : disk_->Commit(batch);
  }
  absl::Status Scan(std::string_view prefix,
                    const std::function<bool(std::string_view key, std::string_view value)>& visit)
      const override {
    return disk_->Scan(prefix, visit);
  }
  absl::StatusOr<std::unique_ptr<Ingest>> NewIngest(uint64_t expected_bytes) override {
    auto ingest = disk_->NewIngest(expected_bytes);
    if (!ingest.ok()) return ingest.status();
    return std::make_unique<MortalIngest>(*std::move(ingest), lifetime_);
  }
  absl::Status RemovePrefix(std::string_view prefix) override {
    return lifetime_->Dies() ? Dead() : disk_->RemovePrefix(prefix);
  }

 private:
  class MortalIngest : public Ingest {
   public:
    MortalIngest(std::unique_ptr<Ingest> ingest, Lifetime* lifetime)
        : ingest_(std::move(ingest)), lifetime_(lifetime) {}
    absl::Status Add(std::string_view key, std::string_view value) override {
      return ingest_->Add(key, value);
    }
    absl::Status Finish() override { return lifetime_->Dies() ? Dead() : ingest_->Finish(); }

   private:
    std::unique_ptr<Ingest> ingest_;
    Lifetime* const lifetime_;
  };

  Store* const disk_;
  Lifetime* const lifetime_;
};

// The disks of a cluster, and its lives.
class CrashPoints : public ::testing::Test {
 protected:
  // One life: a sweep and checkpoints up to `last`, or death after `changes`. The last step that
  // was acknowledged, or `acknowledged` if none was.
  int64_t Live(int64_t acknowledged, int64_t last, int changes) {
    Lifetime lifetime{changes};
    MortalStore worker(worker_disk_.get(), &lifetime);
    MortalStore coordinator(coordinator_disk_.get(), &lifetime);
    SmallCluster cluster(&worker, &coordinator, /*rows=*/1);
    if (!cluster.Sweep().ok()) return acknowledged;
    absl::StatusOr<FoundManifest> latest = cluster.manifests.Latest("job");
    for (int64_t step = latest.ok() ? latest->manifest.step() + 1 : 1; step <= last; ++step) {
      if (!cluster.Checkpoint(step).ok()) return acknowledged;
      acknowledged = step;
      if (!cluster.SweepBehind(step).ok()) return acknowledged;
    }
    finished_ = true;
    return acknowledged;
  }

  void ExpectRecoveredFrom(int64_t acknowledged) {
    SmallCluster cluster(worker_disk_.get(), coordinator_disk_.get(), /*rows=*/1);
    ExpectRecovered(cluster, acknowledged);
  }

  std::unique_ptr<Store> worker_disk_ = NewMemoryStore();
  std::unique_ptr<Store> coordinator_disk_ = NewMemoryStore();
  bool finished_ = false;
};

// Five checkpoints with three kept: every kind of change happens, sweeps of old steps too.
constexpr int64_t kSteps = 5;

TEST_F(CrashPoints, NoneLosesACheckpoint) {
  int points = 0;
  for (; !finished_ && !HasFailure(); ++points) {
    worker_disk_ = NewMemoryStore();
    coordinator_disk_ = NewMemoryStore();
    const int64_t acknowledged = Live(0, kSteps, points);
    SCOPED_TRACE("died before change " + std::to_string(points));
    ExpectRecoveredFrom(acknowledged);
  }
  EXPECT_GT(points, 40) << "the protocol has more changes than that";
}

TEST_F(CrashPoints, TheNextLifeRepeatsTheStepInFlight) {
  for (int point = 0; !finished_; ++point) {
    worker_disk_ = NewMemoryStore();
    coordinator_disk_ = NewMemoryStore();
    const int64_t acknowledged = Live(0, kSteps, point);
    const bool died = !finished_;
    EXPECT_EQ(Live(acknowledged, kSteps + 1, 1 << 30), kSteps + 1)
        << "died before change " << point;
    ExpectRecoveredFrom(kSteps + 1);
    finished_ = !died;
  }
}

// Lives too short for a checkpoint among others that suffice.
TEST_F(CrashPoints, ShortLivesGetOnInTheEnd) {
  int64_t acknowledged = 0;
  for (int changes = 1; !finished_ && !HasFailure(); ++changes) {
    acknowledged = Live(acknowledged, kSteps, changes % 20);
    SmallCluster cluster(worker_disk_.get(), coordinator_disk_.get(), /*rows=*/1);
    EXPECT_TRUE(cluster.manifests.VerifyChain("job").ok()) << cluster.manifests.VerifyChain("job");
    ExpectPreparedMeansWhole(cluster);
    ASSERT_LT(changes, 1000);
  }
  ExpectRecoveredFrom(kSteps);
}

}  // namespace
}  // namespace carousel
