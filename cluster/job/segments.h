// How a sequence is cut along time: into chunks of L steps, the last one perhaps shorter, and the
// chunks into s segments of whole chunks, whose numbers differ by at most one.
//
// Segments change no bit; chunks are part of the numerics contract.
#pragma once

#include <cstdint>

namespace carousel {

constexpr int64_t ChunksPerSequence(int64_t sequence_length, int64_t chunk_length) {
  return (sequence_length + chunk_length - 1) / chunk_length;
}

// The most that micro-batches times segments of one step may be: a stage's list has three
// operations for each, and lists of all stages travel in one message.
inline constexpr int64_t kMaxStepSegments = int64_t{1} << 16;

// Steps [begin, end) of a sequence.
struct SegmentRange {
  int64_t begin = 0;
  int64_t end = 0;
  constexpr int64_t steps() const { return end - begin; }
  friend bool operator==(const SegmentRange&, const SegmentRange&) = default;
};

// Segment `index` of `segments`, 1 <= segments <= ChunksPerSequence: none is empty.
constexpr SegmentRange SegmentOf(int64_t sequence_length, int64_t chunk_length, int64_t segments,
                                 int64_t index) {
  const int64_t chunks = ChunksPerSequence(sequence_length, chunk_length);
  const int64_t begin = chunks * index / segments * chunk_length;
  const int64_t end = chunks * (index + 1) / segments * chunk_length;
  return {begin, end < sequence_length ? end : sequence_length};
}

}  // namespace carousel
