#include "cluster/lease.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace carousel {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr LeaseTerms kTerms = {.heartbeat_every = 1, .stop_after = 5, .dead_after = 8};

TEST(Lease, AWorkerThatBeatsStaysAlive) {
  LeaseTable table(kTerms);
  for (double now = 0; now < 100; now += 1) table.Renew("w1", now);
  EXPECT_TRUE(table.IsAlive("w1", 100));
  EXPECT_THAT(table.Dead(100), IsEmpty());
}

TEST(Lease, ASilentWorkerIsDeadAfterT) {
  LeaseTable table(kTerms);
  table.Renew("w2", 10);
  table.Renew("w1", 10);
  table.Renew("w3", 15);
  EXPECT_THAT(table.Dead(17.9), IsEmpty());
  EXPECT_THAT(table.Dead(18), ElementsAre("w1", "w2"));
  EXPECT_FALSE(table.IsAlive("w1", 18));
}

TEST(Lease, AStrangerIsNeitherAliveNorDead) {
  LeaseTable table(kTerms);
  EXPECT_FALSE(table.IsAlive("w1", 0));
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
  EXPECT_TRUE(table.IsAlive("w1", 12));
}

TEST(Lease, TheNextDeadlineIsTheEarliestToCome) {
  LeaseTable table(kTerms);
  EXPECT_TRUE(std::isinf(table.NextDeadline(0)));
  table.Renew("w1", 1);
  table.Renew("w2", 4);
  EXPECT_EQ(table.NextDeadline(5), 9);
  EXPECT_EQ(table.NextDeadline(9), 12);
}

// Heartbeats take any time to arrive and some are lost; whenever the coordinator gives a worker up,
// the worker has stopped before.
TEST(Lease, AWorkerStopsBeforeItIsDeclaredDead) {
  for (double delay : {0.0, 0.5, 3.0, 20.0}) {
    LeaseTable table(kTerms);
    const double sent_at = 50, received_at = sent_at + delay;
    table.Renew("w1", received_at);
    for (double now = received_at; now < 200; now += 0.25) {
      EXPECT_TRUE(table.IsAlive("w1", now) || !MayWork(kTerms, sent_at, now)) << now;
    }
    EXPECT_FALSE(table.IsAlive("w1", 200));
  }
}

TEST(Lease, TermsThatBreakTheRuleAreRefused) {
  EXPECT_TRUE(CheckLeaseTerms({}).ok());
  EXPECT_THAT(std::string(CheckLeaseTerms({0, 5, 8}).message()), HasSubstr("heartbeat_every is 0"));
  EXPECT_THAT(std::string(CheckLeaseTerms({3, 5, 8}).message()), HasSubstr("two heartbeats, 6"));
  EXPECT_THAT(std::string(CheckLeaseTerms({1, 8, 8}).message()), HasSubstr("0.9 * dead_after"));
  EXPECT_FALSE(CheckLeaseTerms({1, 5, std::nan("")}).ok());
}

}  // namespace
}  // namespace carousel
