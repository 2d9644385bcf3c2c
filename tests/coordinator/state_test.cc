#include "coordinator/state.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "coordinator/decide.h"
#include "tests/coordinator/fake_cluster.h"

namespace carousel {
namespace {

constexpr int kSteps = 2;

// Events as a hostile world would send them: of any job, epoch, stage and step, most of them wrong.
class RandomEvents {
 public:
  explicit RandomEvents(uint32_t seed) : random_(seed) {}

  Event Next(const CoordinatorState& state) {
    Event event;
    const std::string job = "job-" + std::to_string(1 + Below(2));
    const JobRecord* record = FindJob(state, job);
    const uint64_t epoch = record == nullptr ? 1 : record->epoch() - (Below(10) == 0);
    const int stage = Below(3) - (Below(20) == 0);
    switch (Below(14)) {
      case 0:
        event.mutable_coordinator_started();
        if (Below(4) > 0) event.clear_kind();
        break;
      case 1:
        event.mutable_job_submitted()->set_request_id(Request());
        event.mutable_job_submitted()->set_job("job-" + std::to_string(state.jobs_size() + 1));
        *event.mutable_job_submitted()->mutable_spec() = TinyJob("job", kSteps);
        if (state.jobs_size() == 2) event.clear_kind();
        break;
      case 2:
        event.mutable_pause_asked()->set_request_id(Request());
        event.mutable_pause_asked()->set_job(job);
        break;
      case 3:
        event.mutable_cancel_asked()->set_request_id(Request());
        event.mutable_cancel_asked()->set_job(job);
        if (Below(2) == 0) event.clear_kind();
        break;
      case 4:
      case 5:
        event.mutable_resume_asked()->set_request_id(Request());
        event.mutable_resume_asked()->set_job(job);
        event.mutable_resume_asked()->mutable_pipeline()->set_stages(Below(8));
        break;
      case 6:
      case 7: {
        Hello* hello = event.mutable_worker_joined()->mutable_hello();
        event.mutable_worker_joined()->set_session(++sessions_);
        hello->set_worker("w" + std::to_string(Below(3)));
        hello->set_address(hello->worker() + ":1");
        break;
      }
      case 8:
        event.mutable_worker_lost()->set_worker("w" + std::to_string(Below(3)));
        event.mutable_worker_lost()->set_session(sessions_ - Below(3));
        break;
      case 9:
        event.mutable_stage_failed()->set_job(job);
        event.mutable_stage_failed()->set_epoch(epoch);
        event.mutable_stage_failed()->set_stage(-1);
        if (Below(3) > 0) event.clear_kind();
        break;
      default:
        Report(record, job, epoch, stage, &event);
    }
    return event;
  }

 private:
  int Below(int limit) { return static_cast<int>(random_() % limit); }
  std::string Request() { return "request-" + std::to_string(++requests_ - (Below(20) == 0)); }

  void Report(const JobRecord* record, const std::string& job, uint64_t epoch, int stage,
              Event* event) {
    const int64_t committed = record == nullptr ? 0 : std::max<int64_t>(CommittedStep(*record), 0);
    const int64_t next = committed + 1 + Below(2);
    switch (Below(6)) {
      case 5:
        event->mutable_checkpoint_damaged()->set_job(job);
        event->mutable_checkpoint_damaged()->set_step(committed);
        break;
      case 0:
        event->mutable_costs_measured()->set_job(job);
        event->mutable_costs_measured()->set_epoch(epoch);
        for (int u = 0; u < 6; ++u) event->mutable_costs_measured()->add_units()->set_forward(1);
        break;
      case 1:
      case 2:
        event->mutable_stage_installed()->set_job(job);
        event->mutable_stage_installed()->set_epoch(epoch);
        event->mutable_stage_installed()->set_stage(stage);
        break;
      case 3:
        event->mutable_stage_stopped()->set_job(job);
        event->mutable_stage_stopped()->set_epoch(epoch);
        event->mutable_stage_stopped()->set_stage(stage);
        event->mutable_stage_stopped()->set_step(Below(2) == 0 ? kSteps : next - 1);
        break;
      default:
        event->mutable_stage_prepared()->set_job(job);
        event->mutable_stage_prepared()->set_epoch(epoch);
        event->mutable_stage_prepared()->set_stage(stage);
        event->mutable_stage_prepared()->set_step(next);
        if (record == nullptr || stage < 0 || stage >= record->plan().stages_size()) break;
        for (int u = record->plan().stages(stage).first_unit();
             u < record->plan().stages(stage).end_unit(); ++u) {
          ShardRef* shard = event->mutable_stage_prepared()->add_shards();
          shard->set_unit(u);
          shard->set_holder(record->plan().stages(stage).worker());
        }
    }
  }

  std::mt19937 random_;
  uint64_t sessions_ = 0;
  int requests_ = 0;
};

class StateTest : public testing::Test {
 protected:
  // Applies what passes Check, commits what is prepared, decides what can be decided.
  void Feed(const Event& event) {
    if (!Check(state_, event).ok()) return;
    ApplyAndCarry(event);
    for (int i = 0; i < 10; ++i) {
      const std::optional<Event> decision = Decide(state_);
      if (!decision.has_value()) return;
      ApplyAndCarry(*decision);
    }
  }

  void ApplyAndCarry(const Event& event) {
    std::map<std::string, JobState> before;
    for (const JobRecord& job : state_.jobs()) before[job.job()] = job.state();
    const uint64_t epoch_before = state_.last_epoch();
    const Effects effects = Apply(event, &state_);
    history_.push_back(event);
    for (const JobRecord& job : state_.jobs()) {
      if (!before.contains(job.job()) || before[job.job()] == job.state()) continue;
      seen_.insert({before[job.job()], job.state()});
    }
    EXPECT_GE(state_.last_epoch(), epoch_before);
    for (const Effect& effect : effects) {
      const auto* commit = std::get_if<CommitCheckpoint>(&effect);
      if (commit == nullptr) continue;
      Event committed;
      committed.mutable_checkpoint_committed()->set_job(commit->job);
      committed.mutable_checkpoint_committed()->set_epoch(commit->epoch);
      CheckpointRecord* record = committed.mutable_checkpoint_committed()->mutable_checkpoint();
      record->set_step(commit->prepared.step());
      *record->mutable_shards() = commit->prepared.shards();
      EXPECT_EQ(record->shards_size(), 6) << "every unit of the model";
      ASSERT_TRUE(Check(state_, committed).ok());
      ApplyAndCarry(committed);
    }
  }

  CoordinatorState state_;
  std::vector<Event> history_;
  std::set<std::pair<JobState, JobState>> seen_;
};

// SetState aborts on a transition that is not in the table, so what is left to show is that the
// table holds nothing that cannot happen.
TEST_F(StateTest, MakesEveryLegalTransitionAndNoOther) {
  for (uint32_t seed = 1; seed <= 400; ++seed) {
    state_.Clear();
    history_.clear();
    RandomEvents events(seed);
    for (int i = 0; i < 600; ++i) Feed(events.Next(state_));
  }
  for (const auto& [from, to] : kLegalTransitions) {
    EXPECT_TRUE(seen_.contains({from, to}))
        << JobState_Name(from) << " to " << JobState_Name(to) << " never happened";
  }
}

TEST_F(StateTest, FailsAJobThatNoPlanFits) {
  Event submitted;
  submitted.mutable_job_submitted()->set_request_id("r");
  submitted.mutable_job_submitted()->set_job("job-1");
  *submitted.mutable_job_submitted()->mutable_spec() = TinyJob("job", kSteps);
  ApplyAndCarry(submitted);
  Event refused;
  refused.mutable_plan_refused()->set_job("job-1");
  refused.mutable_plan_refused()->set_reason("no plan");

  ApplyAndCarry(refused);

  EXPECT_EQ(state_.jobs(0).state(), FAILED);
  EXPECT_EQ(state_.jobs(0).reason(), "no plan");
}

TEST(Check, IgnoresWhatComesFromAnEpochThatIsOver) {
  FakeCluster cluster;
  cluster.AttachAll(2);
  const std::string job = cluster.Submit(TinyJob("lm", 100));
  cluster.RunToStep(job, 3);
  const uint64_t epoch = FindJob(cluster->state(), job)->epoch();
  const auto check_with = [&](uint64_t e) {
    Event stopped, failed, committed, asked;
    stopped.mutable_stage_stopped()->set_job(job);
    stopped.mutable_stage_stopped()->set_epoch(e);
    stopped.mutable_stage_stopped()->set_step(5);
    failed.mutable_stage_failed()->set_job(job);
    failed.mutable_stage_failed()->set_epoch(e);
    committed.mutable_checkpoint_committed()->set_job(job);
    committed.mutable_checkpoint_committed()->set_epoch(e);
    asked.mutable_checkpoint_asked()->set_job(job);
    asked.mutable_checkpoint_asked()->set_epoch(e);
    std::set<absl::StatusCode> codes;
    for (const Event& event : {stopped, failed, committed, asked}) {
      codes.insert(Check(cluster->state(), event).code());
    }
    return codes;
  };

  EXPECT_EQ(check_with(epoch), std::set{absl::StatusCode::kOk});
  EXPECT_EQ(check_with(epoch - 1), std::set{absl::StatusCode::kAborted});
  EXPECT_EQ(check_with(epoch + 1), std::set{absl::StatusCode::kAborted});
}

TEST_F(StateTest, IsAFunctionOfItsEvents) {
  RandomEvents events(5);
  for (int i = 0; i < 2000; ++i) Feed(events.Next(state_));

  CoordinatorState again;
  for (const Event& event : history_) Apply(event, &again);

  std::set<Event::KindCase> kinds;
  for (const Event& event : history_) kinds.insert(event.kind_case());
  EXPECT_TRUE(kinds.contains(Event::kPlanDecided)) << "decisions are events, too";
  EXPECT_TRUE(kinds.contains(Event::kCheckpointCommitted));
  EXPECT_EQ(state_.DebugString(), again.DebugString());
}

}  // namespace
}  // namespace carousel
