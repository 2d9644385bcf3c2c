// A permutation of [0, size) that is computed, not stored: where a job is in its data follows from
// the step alone, and a restart needs no shuffled list.
//
// A Feistel network over 2h bits, 4^h >= size, of six rounds with a mixing function keyed by
// (seed, data epoch, round); values at or beyond size are sent through it again ("cycle walking",
// Black and Rogaway 2002), fewer than four times on average. It shuffles; it hides nothing. Its
// values are part of the data contract.
#pragma once

#include <array>
#include <cstdint>

namespace carousel {

// Immutable, thread-safe.
class KeyedPermutation {
 public:
  // size >= 1.
  KeyedPermutation(int64_t seed, int64_t data_epoch, int64_t size);

  // index in [0, size); a different result for each.
  int64_t At(int64_t index) const;

 private:
  static constexpr int kRounds = 6;

  uint64_t Encrypt(uint64_t value) const;

  uint64_t size_;
  int half_bits_ = 1;
  std::array<uint64_t, kRounds> round_keys_;
};

}  // namespace carousel
