// Random histories of a whole cluster under a seed: submit, run, checkpoint, lose workers and the
// coordinator, pause, cancel, resume; then the world heals and everything must come to its end with
// the state that an undisturbed run has.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/coordinator/fake_cluster.h"

namespace carousel {
namespace {

constexpr int kWorkers = 4;

// CAROUSEL_SEEDS=10000 for a soak.
uint32_t Seeds() {
  const char* wanted = std::getenv("CAROUSEL_SEEDS");
  return wanted == nullptr ? 150 : static_cast<uint32_t>(std::atoi(wanted));
}

class History {
 public:
  explicit History(uint32_t seed) : random_(seed) {
    for (int j = 0; j < 3; ++j) {
      JobSpec spec = TinyJob("job", 6 + Below(20), 1 + Below(6));
      spec.mutable_pipeline()->set_stages(Below(3));
      spec.mutable_checkpoint()->set_every_steps(Below(5));
      spec.mutable_checkpoint()->set_every_seconds(Below(2) * 10);
      specs_.push_back(spec);
    }
  }

  void Trouble() {
    for (int turn = 0; turn < 1500; ++turn) {
      if (turn % 300 == 0 && jobs_.size() < specs_.size()) {
        jobs_.push_back(cluster_.Submit(specs_[jobs_.size()]));
      }
      if (Below(100) < 90) {
        cluster_.Move(&random_);
      } else {
        Disturb();
      }
      Observe();
      if (testing::Test::HasFailure()) return;
    }
  }

  // Moments at which a job was in each state.
  const std::map<JobState, int>& seen() const { return seen_; }

  void Heal() {
    for (int round = 0; round < 20; ++round) {
      cluster_.AttachAll(kWorkers);
      cluster_.clock().Advance(kSuspicionSeconds);  // what was suspected is acted upon
      cluster_.Heartbeats();
      cluster_->Tick();
      for (const std::string& job : jobs_) Resume(job);
      cluster_.Settle(random_());
    }
    for (size_t j = 0; j < jobs_.size(); ++j) {
      const Job view = cluster_.View(jobs_[j]);
      EXPECT_EQ(view.state(), DONE) << view.reason();
      EXPECT_EQ(view.state_digest(), TrainedState(specs_[j], specs_[j].steps()));
      EXPECT_EQ(view.tokens(), 100 * specs_[j].steps());
    }
  }

 private:
  int Below(int limit) { return static_cast<int>(random_() % limit); }

  void Resume(const std::string& job) {
    ResumeChanges changes;
    changes.pipeline = cluster_.View(job).spec().pipeline();
    cluster_->Resume(cluster_.NewRequest(), job, changes)
        .IgnoreError();  // not at rest, or a holder is away
  }

  // Dies after some more commits: between an event and its effects, between a checkpoint's last
  // Prepared and its commit; the last write may have landed without being acknowledged.
  void CrashBetweenCommits() {
    cluster_.store().FailAfter(Below(3), Below(2) == 0);
    for (int move = 0; move < 30; ++move) cluster_.Move(&random_);
    cluster_.RestartCoordinator();
  }

  void FailStage(const std::string& worker) {
    StageFailure failure;
    failure.set_reason("trouble");
    failure.set_non_finite(Below(2) == 0);
    if (Below(2) == 0) failure.set_lost_worker("w" + std::to_string(1 + Below(kWorkers)));
    cluster_.Fail(worker, failure);
  }

  void Disturb() {
    const std::string worker = "w" + std::to_string(1 + Below(kWorkers));
    const int what = Below(24);
    if (what < 8) return cluster_.Attach(worker);
    if (what < 10) return cluster_.Kill(worker);
    if (what < 11) return cluster_.RestartCoordinator();
    if (what < 13) {
      cluster_.clock().Advance(Below(6));
      if (Below(8) > 0) cluster_.Heartbeats();
      return cluster_->Tick();
    }
    if (what >= 22) return CrashBetweenCommits();
    if (what >= 20) return FailStage(worker);
    if (jobs_.empty()) return;
    const std::string& job = jobs_[Below(static_cast<int>(jobs_.size()))];
    if (what < 14) return cluster_->Pause(cluster_.NewRequest(), job).IgnoreError();
    if (what < 15) return cluster_->Cancel(cluster_.NewRequest(), job).IgnoreError();
    Resume(job);
  }

  // What holds at every moment, whatever happened.
  void Observe() {
    EXPECT_EQ(cluster_.unreadable(), 0) << "shards of a kept checkpoint were swept";
    std::set<std::string> busy;
    for (size_t j = 0; j < jobs_.size(); ++j) {
      const JobRecord& job = *FindJob(cluster_->state(), jobs_[j]);
      if (j >= committed_.size()) committed_.push_back(-1);
      EXPECT_GE(CommittedStep(job), committed_[j]) << "a committed step stays";
      committed_[j] = CommittedStep(job);
      ++seen_[job.state()];
      for (const CheckpointRecord& checkpoint : job.checkpoints()) {
        const Digest digest = *DigestFromBytes(checkpoint.state_digest(), "state");
        EXPECT_EQ(digest.Hex(), TrainedState(specs_[j], checkpoint.step()));
      }
      for (int w = 1; w <= kWorkers; ++w) {
        const std::string worker = "w" + std::to_string(w);
        if (!Uses(job, worker)) continue;
        EXPECT_TRUE(busy.insert(worker).second) << worker << " serves two jobs";
        EXPECT_TRUE(cluster_->state().workers().contains(worker)) << worker << " is away";
      }
    }
  }

  std::mt19937 random_;
  FakeCluster cluster_;
  std::vector<JobSpec> specs_;
  std::vector<std::string> jobs_;
  std::vector<int64_t> committed_;
  std::map<JobState, int> seen_;
};

TEST(Simulation, EveryHistoryEndsWithTheUndisturbedState) {
  std::map<JobState, int> seen;
  for (uint32_t seed = 1; seed <= Seeds(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    History history(seed);
    history.Trouble();
    history.Heal();
    if (testing::Test::HasFailure()) return;
    for (const auto& [state, moments] : history.seen()) seen[state] += moments;
  }
  for (JobState state :
       {QUEUED, STARTING, RUNNING, PAUSING, PAUSED, CANCELLING, CANCELLED, FAILED, DONE}) {
    EXPECT_GT(seen[state], 100) << JobState_Name(state) << ": the trouble was too tame";
  }
}

}  // namespace
}  // namespace carousel
