#include "coordinator/cli/standing_request.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

namespace carousel {
namespace {

TEST(StandingRequest, OneThatCameTooEarlyIsAskedAgain) {
  // Given a pause that is answered while the job still rests,
  std::atomic<int> asked = 0;
  std::atomic<bool> runs = false;
  StandingRequest pause([&] {
    runs = false;
    ++asked;
  });
  pause.Urge();
  while (asked == 0) std::this_thread::yield();

  // when the job starts to run all the same,
  runs = true;

  // then the pause, still wanted, stops it.
  while (runs) pause.Urge();
  EXPECT_GE(asked, 1);
}

TEST(StandingRequest, WhileAnAnswerIsToComeNothingIsAsked) {
  std::atomic<int> asked = 0;
  std::promise<void> answer;
  {
    StandingRequest request([&] {
      ++asked;
      answer.get_future().wait();
    });
    for (int i = 0; i < 100; ++i) request.Urge();
    answer.set_value();
  }
  EXPECT_EQ(asked, 1);
}

TEST(StandingRequest, WhatIsNotWantedIsNotAsked) {
  int asked = 0;
  {
    const StandingRequest request([&] { ++asked; });
  }
  EXPECT_EQ(asked, 0);
}

}  // namespace
}  // namespace carousel
