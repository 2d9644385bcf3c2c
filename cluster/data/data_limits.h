// Limits of what a job says of its data, for those who check a job before it runs (cluster/job) and
// those who read the data. They are the same numbers, so that what passes the one passes the other.
#pragma once

#include <cstdint>

namespace carousel {

inline constexpr int64_t kMaxSequenceLength = int64_t{1} << 24;  // S

// The synthetic corpus. A document is a byte and its separator at least.
inline constexpr int64_t kMinSyntheticTokens = 2;
inline constexpr int64_t kMaxSyntheticTokens = int64_t{1} << 40;
inline constexpr int64_t kMinSyntheticDocument = 2;

}  // namespace carousel
