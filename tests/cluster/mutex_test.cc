#include "cluster/mutex.h"

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <thread>

namespace carousel {
namespace {

struct Mailbox {
  Mutex mutex;
  CondVar changed;
  std::deque<int> letters ABSL_GUARDED_BY(mutex);
};

TEST(CondVar, HandsWhatOneThreadPutsToAnotherThatWaits) {
  Mailbox box;
  std::thread writer([&] {
    for (int letter = 1; letter <= 1000; ++letter) {
      MutexLock lock(&box.mutex);
      box.letters.push_back(letter);
      box.changed.NotifyOne();
    }
  });

  int64_t sum = 0;
  for (int read = 0; read < 1000; ++read) {
    MutexLock lock(&box.mutex);
    while (box.letters.empty()) box.changed.Wait(&box.mutex);
    sum += box.letters.front();
    box.letters.pop_front();
  }

  writer.join();
  EXPECT_EQ(sum, 500500);
}

TEST(CondVar, GivesUpWhenTheTimeIsUpAndStillHoldsTheLock) {
  Mailbox box;
  bool in_time = true;
  {
    MutexLock lock(&box.mutex);
    // Without anybody to notify; a wait may end early for no reason.
    while (in_time) in_time = box.changed.WaitFor(&box.mutex, std::chrono::milliseconds(1));
    box.letters.push_back(1);
  }
  MutexLock lock(&box.mutex);
  EXPECT_EQ(box.letters.size(), 1);
}

}  // namespace
}  // namespace carousel
