#include "cluster/stopwatch.h"

#include <gtest/gtest.h>

namespace carousel {
namespace {

TEST(Stopwatch, CountsFromItsBeginningOrFromItsLastRestart) {
  SimulatedClock clock;
  clock.Advance(100);
  Stopwatch stopwatch(&clock);
  EXPECT_EQ(stopwatch.Seconds(), 0);

  clock.Advance(3);
  const Stopwatch copy = stopwatch;
  stopwatch.Restart();
  clock.Advance(2);

  EXPECT_EQ(stopwatch.Seconds(), 2);
  EXPECT_EQ(copy.Seconds(), 5);
}

}  // namespace
}  // namespace carousel
