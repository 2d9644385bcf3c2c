// Granules: runs of 65,536 neighbouring elements of a tensor, the grain of norms, digests, shards
// and replicas' cuts.
#pragma once

#include "kernels/span.h"

namespace carousel::kernels {

inline constexpr int64_t kGranule = 65536;

constexpr int64_t GranuleCount(int64_t elements) { return (elements + kGranule - 1) / kGranule; }

// partial[g] = sum over granule g of x^2, in double: 32 virtual lanes folded by a fixed tree.
struct GranuleSquares {
  Span x;        // [n]
  Span partial;  // f64 [GranuleCount(n)]
};

// digest[g] = XXH3-128 of granule g's bytes, little-endian elements, in XXH128's canonical
// (big-endian) form.
struct GranuleDigests {
  Span x;       // [n]
  Span digest;  // u8 [GranuleCount(n), 16]
};

}  // namespace carousel::kernels
