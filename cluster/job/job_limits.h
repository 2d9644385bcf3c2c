// Limits of a job that also those name who do not check whole jobs: flags say them.
#pragma once

#include <cstdint>

namespace carousel {

inline constexpr int64_t kMaxSteps = 1'000'000'000;

}  // namespace carousel
