#include "worker/core.h"

#include <gtest/gtest.h>

#include <iterator>
#include <optional>
#include <random>

#include "worker/lost_peer.h"

namespace carousel {
namespace {

CoordinatorMessage MeasureOf(const std::string& job, uint64_t epoch) {
  CoordinatorMessage message;
  message.mutable_measure()->set_job(job);
  message.mutable_measure()->set_epoch(epoch);
  return message;
}

CoordinatorMessage InstallOf(const std::string& job, uint64_t epoch) {
  CoordinatorMessage message;
  message.mutable_install()->mutable_plan()->set_job(job);
  message.mutable_install()->mutable_plan()->set_epoch(epoch);
  return message;
}

CoordinatorMessage StartOf(const std::string& job, uint64_t epoch) {
  CoordinatorMessage message;
  message.mutable_start()->set_job(job);
  message.mutable_start()->set_epoch(epoch);
  return message;
}

CoordinatorMessage BoundaryOf(const std::string& job, uint64_t epoch, bool stop) {
  CoordinatorMessage message;
  message.mutable_boundary()->set_job(job);
  message.mutable_boundary()->set_epoch(epoch);
  message.mutable_boundary()->set_stop(stop);
  return message;
}

CoordinatorMessage DropOf(const std::string& job, uint64_t epoch) {
  CoordinatorMessage message;
  message.mutable_drop()->set_job(job);
  message.mutable_drop()->set_epoch(epoch);
  return message;
}

template <typename Effect>
const Effect* Find(const std::vector<WorkerEffect>& effects) {
  for (const WorkerEffect& effect : effects) {
    if (const Effect* found = std::get_if<Effect>(&effect)) return found;
  }
  return nullptr;
}

WorkerState Running(const std::string& job, uint64_t epoch) {
  WorkerState state;
  ApplyWorkerEvent(InstallOf(job, epoch), &state);
  ApplyWorkerEvent(WorkEnded{job, epoch, absl::OkStatus()}, &state);
  ApplyWorkerEvent(StartOf(job, epoch), &state);
  EXPECT_EQ(state.phase, StagePhase::kRunning);
  return state;
}

TEST(WorkerCore, GoesFromInstallToRunningAndAnswersOnceInstalled) {
  WorkerState state;

  const auto begun = ApplyWorkerEvent(InstallOf("a", 1), &state);
  const auto installed = ApplyWorkerEvent(WorkEnded{"a", 1, absl::OkStatus()}, &state);
  const auto started = ApplyWorkerEvent(StartOf("a", 1), &state);

  ASSERT_NE(Find<BeginInstalling>(begun), nullptr);
  ASSERT_NE(Find<Answer>(installed), nullptr);
  EXPECT_EQ(Find<Answer>(installed)->message.installed().job(), "a");
  EXPECT_EQ(Find<Answer>(installed)->message.installed().epoch(), 1u);
  EXPECT_NE(Find<BeginRunning>(started), nullptr);
  EXPECT_EQ(state.phase, StagePhase::kRunning);
}

TEST(WorkerCore, DropsMessagesOfOlderEpochs) {
  WorkerState state = Running("a", 5);

  for (const CoordinatorMessage& old : {MeasureOf("a", 4), InstallOf("a", 4), StartOf("a", 4),
                                        BoundaryOf("a", 4, true), DropOf("a", 4)}) {
    EXPECT_TRUE(ApplyWorkerEvent(old, &state).empty()) << old.ShortDebugString();
  }

  EXPECT_EQ(state.phase, StagePhase::kRunning);
  EXPECT_EQ(state.epoch, 5u);
}

TEST(WorkerCore, ANewerInstallLetsTheOldStageGoFirst) {
  WorkerState state = Running("a", 1);

  const auto effects = ApplyWorkerEvent(InstallOf("a", 2), &state);

  ASSERT_EQ(effects.size(), 2u);
  ASSERT_TRUE(std::holds_alternative<LetGo>(effects[0]));
  EXPECT_EQ(std::get<LetGo>(effects[0]).reason, "epoch 2 of job a takes its place");
  EXPECT_TRUE(std::holds_alternative<BeginInstalling>(effects[1]));
  EXPECT_EQ(state.phase, StagePhase::kInstalling);
  EXPECT_EQ(state.epoch, 2u);
}

TEST(WorkerCore, RepeatedInstallOfTheSameEpochBeginsNothing) {
  WorkerState state = Running("a", 1);

  EXPECT_TRUE(ApplyWorkerEvent(InstallOf("a", 1), &state).empty());
  EXPECT_EQ(state.phase, StagePhase::kRunning);
}

TEST(WorkerCore, DropIsSafeInEveryPhaseAndTwice) {
  for (int events = 0; events <= 3; ++events) {
    WorkerState state;
    if (events > 0) ApplyWorkerEvent(InstallOf("a", 3), &state);
    if (events > 1) ApplyWorkerEvent(WorkEnded{"a", 3, absl::OkStatus()}, &state);
    if (events > 2) ApplyWorkerEvent(StartOf("a", 3), &state);

    const auto first = ApplyWorkerEvent(DropOf("a", 3), &state);
    const auto second = ApplyWorkerEvent(DropOf("a", 3), &state);

    EXPECT_EQ(Find<LetGo>(first) != nullptr, events > 0);
    EXPECT_TRUE(second.empty());
    EXPECT_EQ(state.phase, StagePhase::kNone);
    EXPECT_TRUE(ApplyWorkerEvent(InstallOf("a", 2), &state).empty())
        << "older than what was dropped";
  }
}

TEST(WorkerCore, DropOfAnotherJobTouchesNothing) {
  WorkerState state = Running("a", 1);

  EXPECT_TRUE(ApplyWorkerEvent(DropOf("b", 9), &state).empty());
  EXPECT_EQ(state.phase, StagePhase::kRunning);
}

TEST(WorkerCore, IgnoresTheResultOfWorkThatWasLetGo) {
  WorkerState state;
  ApplyWorkerEvent(InstallOf("a", 1), &state);
  ApplyWorkerEvent(InstallOf("a", 2), &state);

  EXPECT_TRUE(ApplyWorkerEvent(WorkEnded{"a", 1, absl::OkStatus()}, &state).empty());
  EXPECT_TRUE(ApplyWorkerEvent(WorkEnded{"a", 1, absl::DataLossError("late")}, &state).empty());
  EXPECT_TRUE(ApplyWorkerEvent(WorkEnded{"b", 2, absl::OkStatus()}, &state).empty());
  EXPECT_EQ(state.phase, StagePhase::kInstalling);
}

TEST(WorkerCore, AFailedInstallIsReportedAndLetGo) {
  WorkerState state;
  ApplyWorkerEvent(InstallOf("a", 1), &state);

  const auto effects = ApplyWorkerEvent(WorkEnded{"a", 1, absl::DataLossError("no disk")}, &state);

  EXPECT_NE(Find<LetGo>(effects), nullptr);
  ASSERT_NE(Find<Answer>(effects), nullptr);
  EXPECT_EQ(Find<Answer>(effects)->message.failure().reason(), "no disk");
  EXPECT_EQ(state.phase, StagePhase::kNone);
  EXPECT_NE(Find<BeginInstalling>(ApplyWorkerEvent(InstallOf("a", 2), &state)), nullptr);
}

TEST(WorkerCore, MeasuringEndsWithoutAnAnswerOfTheCore) {
  WorkerState state;

  const auto begun = ApplyWorkerEvent(MeasureOf("a", 1), &state);
  const auto ended = ApplyWorkerEvent(WorkEnded{"a", 1, absl::OkStatus()}, &state);

  EXPECT_NE(Find<BeginMeasuring>(begun), nullptr);
  EXPECT_TRUE(ended.empty());  // whoever measured sends the costs
  EXPECT_EQ(state.phase, StagePhase::kNone);
}

TEST(WorkerCore, StartCountsOnlyOnceInstalledAndBoundaryOnlyWhenRunning) {
  WorkerState state;
  ApplyWorkerEvent(InstallOf("a", 1), &state);

  EXPECT_TRUE(ApplyWorkerEvent(StartOf("a", 1), &state).empty());
  EXPECT_TRUE(ApplyWorkerEvent(BoundaryOf("a", 1, true), &state).empty());
  ApplyWorkerEvent(WorkEnded{"a", 1, absl::OkStatus()}, &state);
  ApplyWorkerEvent(StartOf("a", 1), &state);
  const auto asked = ApplyWorkerEvent(BoundaryOf("a", 1, true), &state);

  ASSERT_NE(Find<AskBoundary>(asked), nullptr);
  EXPECT_TRUE(Find<AskBoundary>(asked)->stop);
}

TEST(WorkerCore, ALostSessionLetsTheStageGoButRemembersTheEpoch) {
  WorkerState state = Running("a", 7);

  const auto effects = ApplyWorkerEvent(SessionLost{}, &state);

  ASSERT_NE(Find<LetGo>(effects), nullptr);
  EXPECT_EQ(Find<LetGo>(effects)->reason, "the coordinator is out of reach");
  EXPECT_TRUE(ApplyWorkerEvent(SessionLost{}, &state).empty());
  EXPECT_TRUE(ApplyWorkerEvent(InstallOf("a", 6), &state).empty());
}

TEST(WorkerCore, CommittedSweepsInEveryPhaseAndChangesNothingElse) {
  CoordinatorMessage message;
  message.mutable_committed()->set_job("a");
  message.mutable_committed()->set_step(12);
  const WorkerEvent ways[] = {MeasureOf("a", 1), InstallOf("a", 2),
                              WorkEnded{"a", 2, absl::OkStatus()}, StartOf("a", 2)};
  const StagePhase phases[] = {StagePhase::kNone, StagePhase::kMeasuring, StagePhase::kInstalling,
                               StagePhase::kInstalled, StagePhase::kRunning};
  WorkerState state;
  for (size_t i = 0; i < std::size(phases); ++i) {
    if (i > 0) ApplyWorkerEvent(ways[i - 1], &state);
    ASSERT_EQ(state.phase, phases[i]);

    const auto effects = ApplyWorkerEvent(message, &state);

    ASSERT_EQ(effects.size(), 1u) << i;
    ASSERT_NE(Find<SweepShards>(effects), nullptr) << i;
    EXPECT_EQ(Find<SweepShards>(effects)->committed.step(), 12);
    EXPECT_EQ(state.phase, phases[i]);
  }
}

// The coordinator pauses a job whose worker is gone, and takes an older checkpoint for one that
// cannot be read; anything else has failed.
TEST(WorkerCore, AFailedInstallSaysWhoIsGoneOrThatTheShardsAreUnreadable) {
  const auto failure = [](const absl::Status& status) {
    WorkerState state;
    ApplyWorkerEvent(InstallOf("a", 1), &state);
    const auto effects = ApplyWorkerEvent(WorkEnded{"a", 1, status}, &state);
    return Find<Answer>(effects)->message.failure();
  };

  const StageFailure lost = failure(LostWorkerError("w-1", "silent"));
  const StageFailure unreadable = failure(UnreadableShardError("flipped bit"));
  const StageFailure other = failure(absl::DataLossError("of the dataset"));

  EXPECT_EQ(lost.lost_worker(), "w-1");
  EXPECT_EQ(lost.reason(), "silent");
  EXPECT_FALSE(lost.restore_unreadable());
  EXPECT_TRUE(unreadable.restore_unreadable());
  EXPECT_EQ(unreadable.lost_worker(), "");
  EXPECT_FALSE(other.restore_unreadable());
  EXPECT_EQ(other.lost_worker(), "");
}

// What the shell around the core would hold after these effects, and what may never happen to it.
class Shell {
 public:
  void Perform(const std::vector<WorkerEffect>& effects, const WorkerState& state) {
    for (const WorkerEffect& effect : effects) {
      if (std::holds_alternative<LetGo>(effect)) {
        EXPECT_TRUE(held_) << "lets go of nothing";
        held_ = false;
      } else if (std::holds_alternative<BeginInstalling>(effect) ||
                 std::holds_alternative<BeginMeasuring>(effect)) {
        EXPECT_FALSE(held_) << "begins before it let go";
        EXPECT_GE(state.epoch, newest_[state.job]) << "an older epoch won";
        newest_[state.job] = state.epoch;
        held_ = true;
      }
    }
    if (state.phase == StagePhase::kNone) held_ = false;  // measured
    EXPECT_EQ(held_, state.phase != StagePhase::kNone);
    for (const auto& [job, epoch] : newest_) EXPECT_GE(state.newest_epoch.at(job), epoch);
  }

 private:
  bool held_ = false;
  std::map<std::string, uint64_t> newest_;
};

WorkerEvent RandomEvent(std::mt19937& random) {
  const std::string job(1, static_cast<char>('a' + random() % 2));
  const uint64_t epoch = 1 + random() % 4;
  switch (random() % 8) {
    case 0:
      return MeasureOf(job, epoch);
    case 1:
      return InstallOf(job, epoch);
    case 2:
      return StartOf(job, epoch);
    case 3:
      return BoundaryOf(job, epoch, random() % 2 == 0);
    case 4:
      return DropOf(job, epoch);
    case 5:
      return SessionLost{};
    case 6:
      return WorkEnded{job, epoch, absl::InternalError("failed")};
    default:
      return WorkEnded{job, epoch, absl::OkStatus()};
  }
}

TEST(WorkerCore, HoldsOneStageAndNeverGoesBackInAnyOrderOfEvents) {
  for (uint32_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    WorkerState state;
    Shell shell;
    for (int i = 0; i < 60; ++i)
      shell.Perform(ApplyWorkerEvent(RandomEvent(random), &state), state);
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace carousel
