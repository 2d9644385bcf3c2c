#include "cluster/data/content_hash.h"

#include <xxhash.h>

#include "cluster/check.h"

namespace carousel {

void ContentHasher::Free::operator()(XXH3_state_s* state) const { XXH3_freeState(state); }

ContentHasher::ContentHasher() : state_(XXH3_createState()) {
  CAROUSEL_CHECK(state_ != nullptr);
  XXH3_128bits_reset(state_.get());
}

void ContentHasher::Update(std::string_view bytes) {
  if (!bytes.empty()) XXH3_128bits_update(state_.get(), bytes.data(), bytes.size());
}

std::string ContentHasher::Hex() const {
  constexpr char kHex[] = "0123456789abcdef";
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_.get()));
  std::string hex;
  for (unsigned char byte : canonical.digest) {
    hex += kHex[byte >> 4];
    hex += kHex[byte & 15];
  }
  return hex;
}

std::string ContentHash(std::string_view bytes) {
  ContentHasher hasher;
  hasher.Update(bytes);
  return hasher.Hex();
}

}  // namespace carousel
