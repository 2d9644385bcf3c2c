#include "coordinator/core.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/coordinator/core_testing.h"

namespace carousel {
namespace {

// A new job of `cluster` that has come to `state`.
std::string JobIn(JobState state, FakeCluster* cluster) {
  if (state != QUEUED) cluster->AttachAll(1);
  const std::string job = cluster->Submit(TinyJob("lm", 20));
  if (state == QUEUED || state == STARTING) return job;
  cluster->RunToStep(job, 3);
  if (state == PAUSING || state == PAUSED) {
    EXPECT_TRUE((*cluster)->Pause("before", job).ok());
  }
  if (state == CANCELLING || state == CANCELLED) {
    EXPECT_TRUE((*cluster)->Cancel("before", job).ok());
  }
  if (state == FAILED) cluster->Fail("w1", {});
  if (IsAtRest(state)) cluster->Settle();
  return job;
}

TEST_F(CoreTest, TakesAJobFromTheQueueToDone) {
  const JobSpec spec = TinyJob("lm", 5);
  const std::string job = cluster_.Submit(spec);
  EXPECT_EQ(job, "lm-1");
  EXPECT_EQ(cluster_.StateOf(job), QUEUED);
  EXPECT_EQ(cluster_.View(job).reason(), "needs 1 worker and none is attached; start one");

  cluster_.AttachAll(3);
  cluster_.Settle();

  ExpectDone(job, spec);
}

TEST_F(CoreTest, SpreadsAJobOverTheWorkersThatAreFree) {
  cluster_.AttachAll(3);
  const std::string job = cluster_.Submit(TinyJob("lm", 100));

  cluster_.RunToStep(job, 2);

  const Job view = cluster_.View(job);
  EXPECT_EQ(view.state(), RUNNING);
  EXPECT_EQ(view.stages_size(), 3);
  EXPECT_EQ(view.schedule(), ONE_F_ONE_B);
  EXPECT_DOUBLE_EQ(view.measured_bubble_ratio(), 0.25);
  EXPECT_DOUBLE_EQ(view.tokens_per_second(), 100);
  EXPECT_EQ(view.state_digest(), TrainedState(view.spec(), view.step()));
}

TEST_F(CoreTest, StopsAPausedJobAtACommittedStepAndResumesThere) {
  const JobSpec spec = TinyJob("lm", 20);
  cluster_.AttachAll(2);
  const std::string job = cluster_.Submit(spec);
  cluster_.RunToStep(job, 5);

  ASSERT_TRUE(Pause(job).ok());
  cluster_.Settle();

  const Job paused = cluster_.View(job);
  EXPECT_EQ(paused.state(), PAUSED);
  EXPECT_GE(paused.step(), 5);
  EXPECT_LT(paused.step(), 20);
  EXPECT_EQ(paused.committed_step(), paused.step());
  EXPECT_EQ(paused.reason(), "paused at step " + std::to_string(paused.step()));

  ASSERT_TRUE(Resume(job).ok());
  cluster_.Settle();
  ExpectDone(job, spec);
}

TEST_F(CoreTest, ResumesOnAnotherNumberOfWorkers) {
  const JobSpec spec = TinyJob("lm", 20);
  cluster_.AttachAll(3);
  const std::string job = cluster_.Submit(spec);
  cluster_.RunToStep(job, 5);
  ASSERT_TRUE(Cancel(job).ok());
  cluster_.Settle();
  ASSERT_EQ(cluster_.StateOf(job), CANCELLED);

  ASSERT_TRUE(Resume(job, 2).ok());
  cluster_.RunToStep(job, 10);
  EXPECT_EQ(cluster_.View(job).stages_size(), 2);
  cluster_.Settle();

  ExpectDone(job, spec);
}

TEST_F(CoreTest, ComesBackWithItsJobsPausedAndNothingLost) {
  JobSpec spec = TinyJob("lm", 20);
  spec.mutable_checkpoint()->set_every_steps(4);
  cluster_.AttachAll(2);
  const std::string job = cluster_.Submit(spec);
  cluster_.RunToStep(job, 9);
  const int64_t committed = cluster_.View(job).committed_step();

  cluster_.RestartCoordinator();

  const Job view = cluster_.View(job);
  EXPECT_EQ(view.state(), PAUSED);
  EXPECT_EQ(view.committed_step(), committed);
  EXPECT_EQ(view.state_digest(), TrainedState(spec, committed));
  EXPECT_EQ(view.reason(),
            "the coordinator was restarted; last committed step " + std::to_string(committed));

  cluster_.AttachAll(2);
  ASSERT_TRUE(Resume(job).ok());
  cluster_.Settle();
  ExpectDone(job, spec);
}

TEST_F(CoreTest, StopsRatherThanForget) {
  cluster_.store().FailAfter(0, /*last_lands=*/false);

  const auto refused = cluster_->Submit("request", TinyJob("lm", 5), "contract");

  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(cluster_->state().jobs_size(), 0) << "nothing half-done";
  EXPECT_EQ(cluster_->broken().message(),
            "the journal cannot be written: no space left on device; nothing is lost: repair the "
            "store, start again");
}

TEST_F(CoreTest, AnswersARepeatedRequestWithoutRepeatingIt) {
  const JobSpec spec = TinyJob("lm", 5);

  const auto first = cluster_->Submit("same", spec, "contract");
  const auto again = cluster_->Submit("same", spec, "contract");

  EXPECT_EQ(*first, *again);
  EXPECT_EQ(cluster_->state().jobs_size(), 1);
  EXPECT_EQ(cluster_->Pause("same", *first).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(cluster_->Pause("", *first).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(cluster_->Submit("same", spec, "another contract").status().message(),
            "request_id: 'same' was used for job lm-1, which has another contract; choose a new "
            "one");

  cluster_.RestartCoordinator();
  EXPECT_EQ(*cluster_->Submit("same", spec, "contract"), *first) << "also after a restart";
}

TEST_F(CoreTest, KeepsTheOrderOfTheQueue) {
  JobSpec wide = TinyJob("wide", 3);
  wide.mutable_pipeline()->set_stages(2);
  const std::string first = cluster_.Submit(wide);
  const std::string second = cluster_.Submit(TinyJob("narrow", 3));

  cluster_.AttachAll(1);
  cluster_.Settle();
  EXPECT_EQ(cluster_.StateOf(first), QUEUED);
  EXPECT_EQ(cluster_.View(first).reason(),
            "needs 2 workers, 1 is free (of 1 attached); start 1 more, or resume it with "
            "pipeline.stages=1");
  EXPECT_EQ(cluster_.View(second).reason(), "waits behind job wide-1");

  cluster_.AttachAll(2);
  cluster_.Settle();
  EXPECT_EQ(cluster_.StateOf(first), DONE);
  EXPECT_EQ(cluster_.StateOf(second), DONE);
}

TEST_F(CoreTest, SaysThatAJobWaitsWhileAnotherIsMeasured) {
  cluster_.AttachAll(2);
  const std::string first = cluster_.Submit(TinyJob("lm", 3));
  const std::string second = cluster_.Submit(TinyJob("lm", 3));

  EXPECT_EQ(cluster_.StateOf(first), STARTING);
  EXPECT_EQ(cluster_.View(second).reason(), "waits until job lm-1 is measured and has its workers");
}

TEST_F(CoreTest, RefusesToResumeAJobOfOtherKernels) {
  JobSpec spec = TinyJob("lm", 20);
  spec.mutable_numerics()->set_kernel_version(kKernelVersion + 1);
  const std::string job = cluster_.Submit(spec);
  ASSERT_TRUE(Pause(job).ok());

  EXPECT_EQ(
      Resume(job).message(),
      "job lm-1 is PAUSED: its contract has numerics.kernel_version 3 and this build computes "
      "version 2; resume it with the build that it was submitted to");
}

TEST_F(CoreTest, TakesAMovedDatasetAndAnotherCheckpointPolicyAtAResume) {
  JobSpec spec = TinyJob("lm", 20);
  spec.mutable_data()->set_dataset("/old");
  spec.mutable_data()->set_dataset_digest("digest");
  const std::string job = cluster_.Submit(spec);
  ASSERT_TRUE(Pause(job).ok());
  ResumeChanges changes;
  changes.dataset = "/new";
  changes.checkpoint.emplace().set_every_steps(5);
  changes.checkpoint->set_keep(4);

  ASSERT_TRUE(cluster_->Resume("resume", job, changes).ok());
  cluster_.RestartCoordinator();

  const JobSpec stored = cluster_.View(job).spec();
  EXPECT_EQ(stored.data().dataset(), "/new");
  EXPECT_EQ(stored.data().dataset_digest(), "digest");
  EXPECT_EQ(stored.checkpoint().every_steps(), 5);
  EXPECT_EQ(stored.checkpoint().keep(), 4);
}

TEST_F(CoreTest, AResumeReplacesTheWishesOfAJobThatWaits) {
  const JobSpec spec = TinyJob("lm", 20);
  cluster_.AttachAll(2);
  const std::string job = cluster_.Submit(spec);
  cluster_.RunToStep(job, 5);
  ASSERT_TRUE(Pause(job).ok());
  cluster_.Settle();
  ASSERT_TRUE(Resume(job, 6).ok());
  EXPECT_EQ(cluster_.StateOf(job), QUEUED);
  EXPECT_EQ(cluster_.View(job).reason(),
            "needs 6 workers, 2 are free (of 2 attached); start 4 more, or resume it with "
            "pipeline.stages=2");

  ASSERT_TRUE(Resume(job, 6).ok()) << "it just waits on";
  EXPECT_EQ(cluster_.StateOf(job), QUEUED);
  EXPECT_EQ(Resume(job, 7).code(), absl::StatusCode::kInvalidArgument) << "it has 6 units";
  EXPECT_EQ(cluster_.View(job).spec().pipeline().stages(), 6) << "nothing half-done";
  ASSERT_TRUE(Resume(job, 2).ok());

  EXPECT_EQ(cluster_.StateOf(job), STARTING);
  cluster_.RestartCoordinator();  // replays it
  EXPECT_EQ(cluster_.View(job).spec().pipeline().stages(), 2);
  cluster_.AttachAll(2);
  ASSERT_TRUE(Resume(job, 2).ok());
  cluster_.Settle();
  ExpectDone(job, spec);
}

TEST_F(CoreTest, AJobThatWaitsKeepsItsPlaceWhenItsWishesAreReplaced) {
  JobSpec wide = TinyJob("wide", 3);
  wide.mutable_pipeline()->set_stages(4);
  const std::string first = cluster_.Submit(wide);
  wide.mutable_pipeline()->set_stages(2);
  const std::string second = cluster_.Submit(wide);

  ASSERT_TRUE(Resume(first, 3).ok());

  EXPECT_EQ(cluster_.View(second).reason(), "waits behind job wide-1");
}

TEST_F(CoreTest, ARepeatedResumeDoesNotUndoALaterOne) {
  const std::string job = cluster_.Submit(TinyJob("lm", 20));
  ResumeChanges wide, narrow;
  wide.pipeline.set_stages(6);
  narrow.pipeline.set_stages(2);

  ASSERT_TRUE(cluster_->Resume("wide", job, wide).ok());
  ASSERT_TRUE(cluster_->Resume("narrow", job, narrow).ok());
  ASSERT_TRUE(cluster_->Resume("wide", job, wide).ok()) << "answered before";

  EXPECT_EQ(cluster_.View(job).spec().pipeline().stages(), 2);
}

// A worker may be lost between the measurement and the plan.
TEST_F(CoreTest, AResumeReplacesTheWishesOfAMeasuredJobThatLacksWorkers) {
  const JobSpec spec = TinyJob("lm", 20);
  cluster_.AttachAll(2);
  JobSpec wide = spec;
  wide.mutable_pipeline()->set_stages(2);
  const std::string job = cluster_.Submit(wide);
  cluster_.Kill("w2");
  cluster_.Settle();
  ASSERT_EQ(cluster_.StateOf(job), STARTING);
  ASSERT_NE(cluster_.View(job).reason(), "");

  ASSERT_TRUE(Resume(job, 1).ok());
  cluster_.Settle();

  ExpectDone(job, spec);
}

// What pause, cancel and resume come to, from each state that a job can be in.
TEST_F(CoreTest, EveryChangeIsAnsweredInEveryState) {
  struct Row {
    JobState before, paused, cancelled, resumed;  // UNSPECIFIED: refused
  };
  constexpr JobState kNo = JOB_STATE_UNSPECIFIED;
  for (const Row& row :
       {Row{QUEUED, PAUSED, CANCELLED, QUEUED}, Row{STARTING, PAUSED, CANCELLED, kNo},
        Row{RUNNING, PAUSING, CANCELLING, kNo}, Row{PAUSING, PAUSING, CANCELLING, kNo},
        Row{PAUSED, PAUSED, CANCELLED, STARTING}, Row{CANCELLING, kNo, CANCELLING, kNo},
        Row{CANCELLED, kNo, CANCELLED, STARTING}, Row{FAILED, kNo, CANCELLED, STARTING},
        Row{DONE, kNo, kNo, kNo}}) {
    for (const std::string verb : {"pause", "cancel", "resume"}) {
      SCOPED_TRACE(verb + " of a job that is " + JobState_Name(row.before));
      FakeCluster cluster;
      const std::string job = JobIn(row.before, &cluster);
      ASSERT_EQ(cluster.StateOf(job), row.before);
      const JobState after = verb == "pause"    ? row.paused
                             : verb == "cancel" ? row.cancelled
                                                : row.resumed;

      const absl::Status status = verb == "pause"    ? cluster->Pause("r", job)
                                  : verb == "cancel" ? cluster->Cancel("r", job)
                                                     : cluster->Resume("r", job, {});

      if (after == kNo) {
        EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
        EXPECT_EQ(status.message().find("job lm-1 is " + JobState_Name(row.before) + ": "), 0)
            << status;
      } else {
        EXPECT_TRUE(status.ok()) << status;
      }
      EXPECT_EQ(cluster.StateOf(job), after == kNo ? row.before : after);
    }
  }
}

TEST_F(CoreTest, SaysWhatAStateForbids) {
  cluster_.AttachAll(1);
  const std::string job = cluster_.Submit(TinyJob("lm", 2));
  EXPECT_EQ(Resume(job).message(),
            "job lm-1 is STARTING: its units are being measured, which takes a moment; to give it "
            "other wishes, pause it first");
  cluster_.RunToStep(job, 1);
  EXPECT_EQ(Resume(job).message(),
            "job lm-1 is RUNNING: it need not be resumed; to give it other wishes, pause it first");
  cluster_.Settle();

  EXPECT_EQ(Pause(job).message(), "job lm-1 is DONE: there is nothing left to pause");
  EXPECT_EQ(Cancel(job).message(), "job lm-1 is DONE: there is nothing left to cancel");
  EXPECT_EQ(
      Resume(job).message(),
      "job lm-1 is DONE: all its steps are done; to train longer, submit a job of more steps");
  EXPECT_EQ(Pause("nobody").message(), "there is no job 'nobody'; `carousel get jobs` lists them");
}

}  // namespace
}  // namespace carousel
