#include "coordinator/progress.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/coordinator/fake_cluster.h"

namespace carousel {
namespace {

// Two stages of three units each.
JobRecord TwoStages(int64_t restore_step = -1) {
  JobRecord job;
  job.set_job("lm-1");
  *job.mutable_spec() = TinyJob("lm", 200000);
  for (int stage = 0; stage < 2; ++stage) {
    StagePlan* place = job.mutable_plan()->add_stages();
    place->set_worker("w" + std::to_string(stage + 1));
    place->set_first_unit(3 * stage);
    place->set_end_unit(3 * stage + 3);
  }
  job.set_restore_step(restore_step);
  if (restore_step >= 0) {
    CheckpointRecord* checkpoint = job.add_checkpoints();
    checkpoint->set_step(restore_step);
    checkpoint->mutable_summary()->set_tokens(100 * restore_step);
  }
  return job;
}

StepReport ReportOf(int stage, int64_t step) {
  StepReport report;
  report.set_step(step);
  report.set_first_unit(3 * stage);
  for (int unit = 3 * stage; unit < 3 * stage + 3; ++unit) {
    report.add_unit_digests(std::string(TrainedUnit(unit, step).AsBytes()));
  }
  report.set_seconds(2);
  report.set_busy_seconds(1.5);
  report.set_wait_seconds(0.5);
  report.set_resident_bytes(1 << 20);
  if (stage == 1) {
    report.set_loss(5);
    report.set_tokens(100);
  }
  return report;
}

void Advance(JobProgress* progress, int64_t first, int64_t last) {
  for (int64_t step = first; step <= last; ++step) {
    ASSERT_TRUE(progress->Report(0, ReportOf(0, step)).ok());
    ASSERT_TRUE(progress->Report(1, ReportOf(1, step)).ok());
  }
}

TEST(Progress, KnowsAStepOnceEveryStageHasReportedIt) {
  JobProgress progress(TwoStages());

  ASSERT_TRUE(progress.Report(1, ReportOf(1, 1)).ok());
  EXPECT_FALSE(progress.At(1).has_value());
  ASSERT_TRUE(progress.Report(0, ReportOf(0, 1)).ok());

  ASSERT_TRUE(progress.At(1).has_value());
  EXPECT_EQ(progress.At(1)->state.Hex(), TrainedState(TinyJob("lm", 1), 1));
  EXPECT_EQ(progress.At(1)->summary.tokens(), 100);
}

TEST(Progress, GoesOnFromTheCheckpoint) {
  JobProgress progress(TwoStages(/*restore_step=*/40));

  EXPECT_FALSE(progress.Report(0, ReportOf(0, 1)).ok());
  Advance(&progress, 41, 42);

  EXPECT_EQ(progress.At(42)->summary.tokens(), 4200);
}

TEST(Progress, KeepsAStepUntilItsCheckpointIsCommittedOrPassed) {
  JobProgress progress(TwoStages());
  Advance(&progress, 1, 1000);

  EXPECT_TRUE(progress.At(3).has_value());
  progress.Committed(500);

  EXPECT_FALSE(progress.At(500).has_value());
  EXPECT_TRUE(progress.At(501).has_value());
}

TEST(Progress, ForgetsTheOldestStepsOfAJobThatNeverCommits) {
  JobProgress progress(TwoStages());
  Advance(&progress, 1, kStepsRemembered + 1);

  EXPECT_FALSE(progress.At(1).has_value());
  EXPECT_TRUE(progress.At(2).has_value());
}

TEST(Progress, ShowsTheNewestStepAndTheLossesBefore) {
  JobProgress progress(TwoStages());
  Advance(&progress, 1, 100);
  progress.Committed(100);

  Job view;
  progress.Show(&view);

  EXPECT_EQ(view.step(), 100);
  EXPECT_EQ(view.loss(), 5);
  EXPECT_EQ(view.tokens(), 10000);
  EXPECT_EQ(view.state_digest(), TrainedState(TinyJob("lm", 1), 100));
  EXPECT_DOUBLE_EQ(view.tokens_per_second(), 50);
  EXPECT_DOUBLE_EQ(view.eta_seconds(), 2.0 * (200000 - 100));
  EXPECT_DOUBLE_EQ(view.measured_bubble_ratio(), 0.25);
  ASSERT_EQ(view.recent_size(), kRecentSteps);
  EXPECT_EQ(view.recent(0).step(), 100 - kRecentSteps + 1);
  ASSERT_EQ(view.stages_size(), 2);
  EXPECT_EQ(view.stages(1).worker(), "w2");
  EXPECT_DOUBLE_EQ(view.stages(1).busy_ratio(), 0.75);
  EXPECT_DOUBLE_EQ(view.stages(1).wait_ratio(), 0.25);
  EXPECT_EQ(view.stages(1).bytes(), 1 << 20);
}

TEST(Progress, ShowsTheStagesOfAJobThatHasMadeNoStep) {
  Job view;
  JobProgress(TwoStages()).Show(&view);

  EXPECT_EQ(view.stages_size(), 2);
  EXPECT_EQ(view.step(), 0);
}

TEST(Progress, TakesNothingFromAReportThatCannotBe) {
  JobProgress progress(TwoStages());
  Advance(&progress, 1, 3);
  const auto message_of = [&](const StepReport& report) {
    return std::string(progress.Report(1, report).message());
  };
  StepReport units = ReportOf(1, 4), first = units, digest = units, tokens = units, time = units,
             loss = units;
  units.mutable_unit_digests()->RemoveLast();
  first.set_first_unit(2);
  digest.set_unit_digests(2, "short");
  tokens.set_tokens(-1);
  time.set_seconds(std::numeric_limits<double>::quiet_NaN());
  loss.set_loss(std::numeric_limits<double>::infinity());

  EXPECT_EQ(message_of(ReportOf(1, 3)), "worker w2 reported step 3 where 4 is next");
  EXPECT_EQ(message_of(ReportOf(1, 5)), "worker w2 reported step 5 where 4 is next");
  EXPECT_EQ(message_of(ReportOf(1, -1)), "worker w2 reported step -1 where 4 is next");
  EXPECT_EQ(message_of(units),
            "worker w2 reported step 4 with 2 digests from unit 3 for units 3-5");
  EXPECT_EQ(message_of(first),
            "worker w2 reported step 4 with 3 digests from unit 2 for units 3-5");
  EXPECT_EQ(message_of(digest), "worker w2 reported step 4 with a digest of 5 bytes");
  EXPECT_EQ(message_of(tokens), "worker w2 reported step 4 with -1 tokens of at most 2048");
  EXPECT_EQ(message_of(time), "worker w2 reported step 4 with a time of nan s");
  EXPECT_EQ(message_of(loss), "worker w2 reported step 4 with a loss, norm or rate of inf");
  EXPECT_TRUE(progress.Report(1, ReportOf(1, 4)).ok()) << "what was refused left no trace";
}

TEST(Progress, RefusesStepsBeyondTheLast) {
  JobRecord job = TwoStages();
  job.mutable_spec()->set_steps(2);
  JobProgress progress(job);
  Advance(&progress, 1, 2);

  EXPECT_EQ(progress.Report(0, ReportOf(0, 3)).message(),
            "worker w1 reported step 3 of a job of 2 steps");
}

}  // namespace
}  // namespace carousel
