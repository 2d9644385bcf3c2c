// Integer mixing behind everything that must look random and be a function of its key. No state,
// no <random>: the same bits on every machine.
#pragma once

#include <cstdint>

namespace carousel {

// A bijection of 64-bit words that changes about half of the bits for each bit of the input: the
// finaliser of SplitMix64 (Steele, Lea, Flood 2014).
constexpr uint64_t MixBits(uint64_t word) {
  word += 0x9E3779B97F4A7C15u;
  word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9u;
  word = (word ^ (word >> 27)) * 0x94D049BB133111EBu;
  return word ^ (word >> 31);
}

// A word that depends on all of its keys and on their order.
constexpr uint64_t MixKeys(uint64_t a, uint64_t b) { return MixBits(MixBits(a) ^ b); }
constexpr uint64_t MixKeys(uint64_t a, uint64_t b, uint64_t c) { return MixKeys(MixKeys(a, b), c); }

}  // namespace carousel
