// Training sequences: windows of S + 1 tokens over one part of a corpus.
//
//   part     t0 t1 t2 t3 t4 t5 t6 t7 …       S = 3
//   window 0 t0 t1 t2 t3                     inputs t0 t1 t2, labels t1 t2 t3
//   window 1          t3 t4 t5 t6            inputs t3 t4 t5, labels t4 t5 t6
//
// Windows start every S tokens and share one token with the next, so every token but the first is
// the label of exactly one row. The last window is padded: token 0, label ignored.
//
// With resets at document boundaries (the default) no row sees across a border: the label that
// would be a document's first token is ignored, and the row whose input is that token has its reset
// flag set. Without, borders are not marked and such labels are predicted. Either way row 0 of
// every window has its reset flag set: a window begins with an empty state.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "cluster/data/corpus_part.h"
#include "cluster/data/micro_batch.h"

namespace carousel {

// Thread-safe, cheap to copy. The part's source outlives it.
class TokenWindows {
 public:
  // sequence_length is S, at least 1. A part of fewer than two tokens has no windows. If tokens are
  // no bytes (dataset.h), no label counts as a byte of text.
  TokenWindows(const CorpusPart& part, int64_t sequence_length, bool reset_at_document_boundaries,
               bool tokens_are_bytes = true);

  int64_t count() const { return count_; }
  int64_t sequence_length() const { return sequence_length_; }

  // Fills column b of the batch, whose tensors are sized, and adds to its `predicted` counts.
  absl::Status Read(int64_t window, int64_t b, MicroBatch* batch) const;

 private:
  CorpusPart part_;
  int64_t sequence_length_;
  bool reset_at_document_boundaries_;
  bool tokens_are_bytes_;
  int64_t count_;
};

}  // namespace carousel
