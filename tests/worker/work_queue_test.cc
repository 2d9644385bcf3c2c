#include "worker/work_queue.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <vector>

namespace carousel {
namespace {

TEST(WorkQueue, PiecesRunInTheirOrderOneAtATimeBesideTheCaller) {
  std::promise<void> go;
  std::vector<int> ran;  // without a lock: by one thread
  {
    WorkQueue queue;
    queue.Add([&] { go.get_future().wait(); });
    for (int i = 0; i < 100; ++i) queue.Add([&ran, i] { ran.push_back(i); });
    EXPECT_TRUE(ran.empty()) << "Add returned though the first piece is under way";
    go.set_value();
  }

  ASSERT_EQ(ran.size(), 100u) << "the end waits for all of it";
  for (int i = 0; i < 100; ++i) EXPECT_EQ(ran[i], i);
}

TEST(WorkQueue, WorkMayAddWorkEvenAtTheEnd) {
  std::promise<void> ending;
  bool ran = false;
  {
    WorkQueue queue;
    queue.Add([&] {
      ending.get_future().wait();
      queue.Add([&] { ran = true; });
    });
    ending.set_value();
  }

  EXPECT_TRUE(ran);
}

// A stage that was let go gives its memory back before the next one asks for some.
TEST(WorkQueue, WhatAPieceHoldsIsGoneBeforeTheNextBegins) {
  auto held = std::make_shared<int>(1);
  const std::weak_ptr<int> watched = held;
  bool gone = false;
  {
    WorkQueue queue;
    queue.Add([held = std::move(held)] {});
    queue.Add([&] { gone = watched.expired(); });
  }

  EXPECT_TRUE(gone);
}

TEST(WorkQueue, AQueueWithoutWorkEnds) { const WorkQueue queue; }

}  // namespace
}  // namespace carousel
