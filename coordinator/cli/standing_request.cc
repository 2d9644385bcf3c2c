#include "coordinator/cli/standing_request.h"

#include <chrono>

namespace carousel {

void StandingRequest::Urge() {
  constexpr std::chrono::seconds kNow(0);
  if (answer_.valid() && answer_.wait_for(kNow) != std::future_status::ready) return;
  answer_ = std::async(std::launch::async, ask_);
}

}  // namespace carousel
