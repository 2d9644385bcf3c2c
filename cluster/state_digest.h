// Digests of a job's state, all of them XXH3-128. The leaves are granules: 65,536 elements of one
// part (weight, m or v) of one tensor, the last of a tensor short, hashed as their little-endian
// bytes. Above them:
//
//   unit  = H(digests of its granules in key order: tensor, part, granule ascending)
//   state = H(digests of the units in unit order, step, sequences consumed)   both u64 big-endian
//
// A stored shard keeps the same leaves, so a checkpoint can be compared with a running state, and
// two runs of different shape unit by unit. XXH3 finds accidents, not forgers.
//
// Pure functions, safe from any thread.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace carousel {

inline constexpr int64_t kGranuleElements = 65536;
inline constexpr int64_t kChunkGranules = 16;
inline constexpr int64_t kChunkElements = kChunkGranules * kGranuleElements;  // 4 MiB of floats

// In XXH3's canonical (big-endian) form, so that a list of digests hashes alike everywhere.
struct Digest {
  static constexpr size_t kBytes = 16;
  std::array<uint8_t, kBytes> bytes = {};

  std::string Hex() const;  // 32 lower-case hex digits
  std::string_view AsBytes() const {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  friend auto operator<=>(const Digest&, const Digest&) = default;
};
static_assert(sizeof(Digest) == Digest::kBytes);

// kDataLoss unless there are exactly 16 bytes; `what` names them in the message.
absl::StatusOr<Digest> DigestFromBytes(std::string_view bytes, std::string_view what);

Digest DigestOf(const void* data, size_t bytes);
inline Digest DigestOf(std::string_view bytes) { return DigestOf(bytes.data(), bytes.size()); }

// Granules that `elements` elements fall into.
constexpr int64_t GranuleCount(int64_t elements) {
  return (elements + kGranuleElements - 1) / kGranuleElements;
}

Digest UnitDigest(std::span<const Digest> granules);

Digest StateDigest(std::span<const Digest> units, int64_t step, int64_t sequences);

}  // namespace carousel
