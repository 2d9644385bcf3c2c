#include "cluster/state_digest.h"

#include <xxhash.h>

#include <bit>
#include <cstring>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "cluster/check.h"

namespace carousel {

static_assert(std::endian::native == std::endian::little, "granules are hashed as they lie");

std::string Digest::Hex() const {
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

absl::StatusOr<Digest> DigestFromBytes(std::string_view bytes, std::string_view what) {
  if (bytes.size() != Digest::kBytes) {
    return absl::DataLossError(absl::StrCat(absl::string_view(what.data(), what.size()), " has ",
                                            bytes.size(), " bytes; a digest has ",
                                            size_t{Digest::kBytes}));
  }
  Digest digest;
  std::memcpy(digest.bytes.data(), bytes.data(), bytes.size());
  return digest;
}

Digest DigestOf(const void* data, size_t bytes) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, bytes));
  Digest digest;
  static_assert(sizeof(canonical.digest) == Digest::kBytes);
  std::memcpy(digest.bytes.data(), canonical.digest, Digest::kBytes);
  return digest;
}

Digest UnitDigest(std::span<const Digest> granules) {
  return DigestOf(granules.data(), granules.size_bytes());
}

Digest StateDigest(std::span<const Digest> units, int64_t step, int64_t sequences) {
  CAROUSEL_CHECK(step >= 0 && sequences >= 0);
  std::string bytes(reinterpret_cast<const char*>(units.data()), units.size_bytes());
  for (uint64_t number : {static_cast<uint64_t>(step), static_cast<uint64_t>(sequences)}) {
    for (int shift = 56; shift >= 0; shift -= 8)
      bytes.push_back(static_cast<char>(number >> shift));
  }
  return DigestOf(bytes);
}

}  // namespace carousel
