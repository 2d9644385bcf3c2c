// What one forward pass reads.
#pragma once

#include <cstdint>
#include <vector>

namespace carousel {

inline constexpr int32_t kIgnoredLabel = -1;

// B sequences of S rows each, time-major: element (t, b) of every tensor lies at t * B + b, so that
// a segment of the sequence is a contiguous range of rows. Plain data, no thread rule of its own.
struct MicroBatch {
  int64_t sequence_length = 0;  // S
  int64_t sequences = 0;        // B

  std::vector<int32_t> tokens;  // [S, B] inputs
  std::vector<int32_t> labels;  // [S, B] the token that follows, or kIgnoredLabel
  std::vector<uint8_t> resets;  // [S, B] 1: the state is empty before this input is read

  int64_t predicted = 0;        // labels that are not ignored
  int64_t predicted_bytes = 0;  // bytes of text that those labels stand for: separators for none,
                                // tokens made elsewhere for an unknown number, counted as none
};

}  // namespace carousel
