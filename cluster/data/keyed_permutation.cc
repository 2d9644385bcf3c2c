#include "cluster/data/keyed_permutation.h"

#include <utility>

#include "cluster/check.h"
#include "cluster/data/keyed_random.h"

namespace carousel {

KeyedPermutation::KeyedPermutation(int64_t seed, int64_t data_epoch, int64_t size)
    : size_(static_cast<uint64_t>(size)) {
  CAROUSEL_CHECK(size >= 1 && size <= int64_t{1} << 62);
  while ((uint64_t{1} << (2 * half_bits_)) < size_) ++half_bits_;
  for (int round = 0; round < kRounds; ++round) {
    round_keys_[round] = MixKeys(static_cast<uint64_t>(seed), static_cast<uint64_t>(data_epoch),
                                 static_cast<uint64_t>(round));
  }
}

uint64_t KeyedPermutation::Encrypt(uint64_t value) const {
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  uint64_t left = value >> half_bits_;
  uint64_t right = value & mask;
  for (uint64_t key : round_keys_) {
    left ^= MixBits(right ^ key) & mask;
    std::swap(left, right);
  }
  return left << half_bits_ | right;
}

int64_t KeyedPermutation::At(int64_t index) const {
  CAROUSEL_CHECK(index >= 0 && static_cast<uint64_t>(index) < size_);
  uint64_t value = static_cast<uint64_t>(index);
  do {
    value = Encrypt(value);
  } while (value >= size_);
  return static_cast<int64_t>(value);
}

}  // namespace carousel
