// Limits that flags say, too: of a job, and of what is asked of its checkpoints.
#pragma once

#include <cstdint>

namespace carousel {

inline constexpr int64_t kMaxSteps = 1'000'000'000;
inline constexpr int64_t kMaxTokens = int64_t{1} << 40;  // of an evaluation or a sample

}  // namespace carousel
