// A request that stands until it has come true: asked again whenever an answer came and it is still
// wanted. What is asked once can come too early, e.g. a pause just before a resume takes effect.
#pragma once

#include <functional>
#include <future>
#include <utility>

namespace carousel {

// One thread; `ask` runs on another one, one call at a time.
class StandingRequest {
 public:
  explicit StandingRequest(std::function<void()> ask) : ask_(std::move(ask)) {}
  // The destructor waits for the last answer.

  // It is still wanted: asks, unless the last answer is yet to come.
  void Urge();

 private:
  const std::function<void()> ask_;
  std::future<void> answer_;
};

}  // namespace carousel
