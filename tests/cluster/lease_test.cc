#include "cluster/lease.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace carousel {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const LeaseTerms kTerms = TermsOf(8);

TEST(Lease, AWorkerThatBeatsStaysAlive) {
  LeaseTable table(kTerms);
  for (int now = 0; now < 100; ++now) table.Renew("w1", now);
  EXPECT_THAT(table.Dead(100), IsEmpty());
}

TEST(Lease, ASilentWorkerIsDeadAfterT) {
  LeaseTable table(kTerms);
  table.Renew("w2", 10);
  table.Renew("w1", 10);
  table.Renew("w3", 15);
  EXPECT_THAT(table.Dead(17.9), IsEmpty());
  EXPECT_THAT(table.Dead(18), ElementsAre("w1", "w2"));
}

TEST(Lease, AStrangerIsNeitherAliveNorDead) {
  LeaseTable table(kTerms);
  EXPECT_THAT(table.Dead(100), IsEmpty());
}

TEST(Lease, AForgottenWorkerIsAStranger) {
  LeaseTable table(kTerms);
  table.Renew("w1", 0);
  table.Forget("w1");
  table.Forget("w1");
  EXPECT_THAT(table.Dead(100), IsEmpty());
}

TEST(Lease, ALateHeartbeatDoesNotTurnTimeBack) {
  LeaseTable table(kTerms);
  table.Renew("w1", 10);
  table.Renew("w1", 3);
  EXPECT_THAT(table.Dead(17), IsEmpty());
}

// The wire dies at some moment between two heartbeats: by the time the coordinator gives the worker
// up, the worker's own ping has gone unanswered for long enough.
TEST(Lease, AWorkerStopsBeforeItIsGivenUp) {
  for (double lease : {kLeastLeaseSeconds, 3.0, 5.0, 8.0, 60.0, kMostLeaseSeconds}) {
    const LeaseTerms terms = TermsOf(lease);
    for (double since_heartbeat : {0.0, 0.5, 1.0}) {
      LeaseTable table(terms);
      const double wire_dies_at = 50;
      table.Renew("w1", wire_dies_at - since_heartbeat * terms.heartbeat_every);

      const double stopped_at = wire_dies_at + terms.heartbeat_every + terms.ping_timeout();

      EXPECT_THAT(table.Dead(stopped_at), IsEmpty()) << lease;
      EXPECT_THAT(table.Dead(wire_dies_at + lease), ElementsAre("w1")) << lease;
    }
  }
}

TEST(Lease, EveryLengthWithinTheLimitsGivesTermsThatKeepTheRule) {
  constexpr double kRatio = kMostLeaseSeconds / kLeastLeaseSeconds;
  for (int i = 0; i <= 100; ++i) {
    const double lease =
        std::min(kMostLeaseSeconds, kLeastLeaseSeconds * std::pow(kRatio, i / 100.0));
    EXPECT_TRUE(CheckLeaseTerms(TermsOf(lease)).ok()) << CheckLeaseTerms(TermsOf(lease));
  }
}

TEST(Lease, TermsThatBreakTheRuleAreRefused) {
  EXPECT_TRUE(CheckLeaseTerms({}).ok());
  EXPECT_THAT(std::string(CheckLeaseTerms({0, 5, 8}).message()), HasSubstr("heartbeat_every is 0"));
  EXPECT_THAT(std::string(CheckLeaseTerms({3, 5, 8}).message()), HasSubstr("two heartbeats, 6"));
  EXPECT_THAT(std::string(CheckLeaseTerms({1, 8, 8}).message()),
              HasSubstr("0.9 * dead_after, 7.2"));
  EXPECT_FALSE(CheckLeaseTerms({1, 5, std::nan("")}).ok());
}

}  // namespace
}  // namespace carousel
