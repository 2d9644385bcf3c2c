// One side of a corpus (training or held out) as a token stream of its own: its blocks moved
// together, with a document border wherever something was cut out between them.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "cluster/data/held_out.h"
#include "cluster/data/token_source.h"

namespace carousel {

// Thread-safe, cheap to copy. Does not own the source, which outlives it.
class CorpusPart {
 public:
  CorpusPart(const TokenSource* source, const HeldOutRule& rule, CorpusSide side)
      : source_(source), split_(rule, source->token_count(), side) {}

  int64_t token_count() const { return split_.token_count(); }

  // tokens[count]: the part's tokens at [first, first + count), which lies within it.
  // starts[count]: 1 where a document begins, or what the split left of one; else 0.
  absl::Status Read(int64_t first, int64_t count, int32_t* tokens, uint8_t* starts) const;

 private:
  const TokenSource* source_;
  HeldOutSplit split_;
};

}  // namespace carousel
