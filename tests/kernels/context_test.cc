#include "kernels/cpu/context.h"

#include <atomic>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace carousel::kernels {
namespace {

constexpr unsigned kFlushToZero = 0x8000;

// Two tasks that wait for each other, so that each has a thread of its own. The one that runs on
// `thread` changes the rounding mode, as a library compiled with fast-math does.
void ChangeTheModeOf(int thread) {
  struct Job {
    int thread;
    std::atomic<int> started{0};
  } job{thread};
  Context context(2);
  context.ParallelFor(
      2,
      [](void* argument, int64_t, int thread) {
        Job& job = *static_cast<Job*>(argument);
        ++job.started;
        while (job.started < 2) std::this_thread::yield();
        if (thread == job.thread) __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | kFlushToZero);
      },
      &job);
}

TEST(ContextDeathTest, AChangedRoundingModeEndsTheProcessOnEveryThread) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(ChangeTheModeOf(0), "broken precondition");
  EXPECT_DEATH(ChangeTheModeOf(1), "broken precondition");
}

TEST(ContextTest, EveryTaskRunsOnceHoweverManyJobsFollowEachOther) {
  Context context(3);
  for (int64_t count = 0; count < 200; ++count) {
    std::vector<int> runs(count, 0);
    context.ParallelFor(
        count,
        [](void* argument, int64_t index, int) {
          ++(*static_cast<std::vector<int>*>(argument))[index];
        },
        &runs);
    EXPECT_EQ(runs, std::vector<int>(count, 1));
  }
}

}  // namespace
}  // namespace carousel::kernels
