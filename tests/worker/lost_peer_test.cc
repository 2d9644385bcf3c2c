#include "worker/lost_peer.h"

#include <gtest/gtest.h>

namespace carousel {
namespace {

StageFailure FailureOf(const absl::Status& status) {
  Plan plan;
  plan.add_stages()->set_worker("w0");
  plan.add_stages()->set_worker("w1");
  StageFailure failure;
  Explain(status, plan, &failure);
  return failure;
}

TEST(LostPeer, AStageThatIsGoneIsExplainedByItsWorker) {
  const StageFailure failure = FailureOf(LostStageError(1, "the edge broke"));

  EXPECT_EQ(failure.reason(), "the edge broke");
  EXPECT_EQ(failure.lost_worker(), "w1");
  EXPECT_FALSE(failure.non_finite());
  EXPECT_FALSE(failure.restore_unreadable());
}

TEST(LostPeer, AHolderThatIsGoneIsNamed) {
  EXPECT_EQ(FailureOf(LostWorkerError("w9", "no answer")).lost_worker(), "w9");
}

TEST(LostPeer, AnUnreadableShardAsksForTheCheckpointBefore) {
  EXPECT_TRUE(FailureOf(UnreadableShardError("damaged")).restore_unreadable());
  EXPECT_FALSE(FailureOf(absl::DataLossError("a damaged token")).restore_unreadable());
}

// gRPC, a store and other layers may abort for reasons of their own: that is no word about the
// numbers of a job.
TEST(LostPeer, OnlyARefusedStepIsOneWhateverElseWasAborted) {
  EXPECT_TRUE(FailureOf(RefusedStepError("the loss was not finite")).non_finite());
  EXPECT_EQ(FailureOf(RefusedStepError("the loss was not finite")).reason(),
            "the loss was not finite");
  EXPECT_FALSE(FailureOf(absl::AbortedError("a transaction was aborted")).non_finite());
}

TEST(LostPeer, AnAnswerIsNoSignOfAPeerThatIsGone) {
  for (const absl::Status& gone : {absl::UnavailableError(""), absl::CancelledError(""),
                                   absl::DeadlineExceededError(""), absl::UnknownError("")})
    EXPECT_TRUE(IsPeerGone(gone)) << gone;
  for (const absl::Status& answer :
       {absl::OkStatus(), absl::NotFoundError(""), absl::DataLossError(""),
        absl::FailedPreconditionError(""), absl::InvalidArgumentError(""),
        absl::ResourceExhaustedError("")})
    EXPECT_FALSE(IsPeerGone(answer)) << answer;
}

}  // namespace
}  // namespace carousel
