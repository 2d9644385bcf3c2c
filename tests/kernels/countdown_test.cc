#include "kernels/cpu/countdown.h"

#include <atomic>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/cpu/context.h"

namespace carousel::kernels {
namespace {

TEST(CountdownTest, OfNothingIsOver) { Countdown(0).Wait(); }

TEST(CountdownTest, WhoComesAfterTheLastDoesNotWait) {
  Countdown countdown(2);
  countdown.Done();
  countdown.Done();

  countdown.Wait();
  countdown.Wait();
}

TEST(CountdownTest, NobodyPassesBeforeTheLast) {
  Countdown countdown(2);
  std::atomic<int> passed{0};
  std::vector<std::thread> waiting;
  for (int i = 0; i < 3; ++i) {
    waiting.emplace_back([&] {
      countdown.Wait();
      ++passed;
    });
  }

  countdown.Done();
  std::this_thread::yield();
  EXPECT_EQ(passed, 0);
  countdown.Done();
  for (std::thread& thread : waiting) thread.join();

  EXPECT_EQ(passed, 3);
}

// Plain memory: TSan sees whether Done and Wait order its writes and reads.
TEST(CountdownTest, WhatWasWrittenBeforeDoneIsSeenAfterWait) {
  constexpr int kWriters = 3;
  for (int round = 0; round < 200; ++round) {
    Countdown countdown(kWriters);
    std::vector<int> written(kWriters, 0);
    std::vector<std::thread> writers;
    for (int i = 0; i < kWriters; ++i) {
      writers.emplace_back([&, i] {
        written[i] = round + 1;
        countdown.Done();
      });
    }

    countdown.Wait();
    EXPECT_EQ(written, std::vector<int>(kWriters, round + 1));

    for (std::thread& writer : writers) writer.join();
  }
}

// The use that it is made for: tasks of one ParallelFor, the later of which wait for the earlier.
TEST(CountdownTest, LaterTasksOfAParallelForWaitForEarlierOnes) {
  struct Job {
    explicit Job(int64_t parts) : parts(parts, 0), ready(parts) {}
    std::vector<int64_t> parts;
    Countdown ready;
    std::atomic<int64_t> sum{0};
  };
  constexpr int64_t kParts = 5, kReaders = 7;
  for (int threads = 1; threads <= 4; ++threads) {
    Context context(threads);
    for (int round = 0; round < 100; ++round) {
      Job job(kParts);

      context.ParallelFor(
          kParts + kReaders,
          [](void* argument, int64_t index, int) {
            Job& job = *static_cast<Job*>(argument);
            if (index < kParts) {
              job.parts[index] = index + 1;
              return job.ready.Done();
            }
            job.ready.Wait();
            for (int64_t part : job.parts) job.sum += part;
          },
          &job);

      EXPECT_EQ(job.sum, kReaders * kParts * (kParts + 1) / 2);
    }
  }
}

}  // namespace
}  // namespace carousel::kernels
