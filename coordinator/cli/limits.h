// What a number on the command line may be: the checks that all programs share, and the limits of
// verbs.
#pragma once

#include <cstdint>

#include "cluster/flag_checks.h"
#include "cluster/job/job_limits.h"

namespace carousel {

inline constexpr int64_t kMaxTokens = int64_t{1} << 40;  // of an evaluation or a sample

}  // namespace carousel
