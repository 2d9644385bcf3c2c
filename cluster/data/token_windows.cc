#include "cluster/data/token_windows.h"

#include <algorithm>
#include <vector>

#include "cluster/check.h"
#include "cluster/data/tokenizer.h"
#include "cluster/status_macros.h"

namespace carousel {

TokenWindows::TokenWindows(const CorpusPart& part, int64_t sequence_length,
                           bool reset_at_document_boundaries, bool tokens_are_bytes)
    : part_(part),
      sequence_length_(sequence_length),
      reset_at_document_boundaries_(reset_at_document_boundaries),
      tokens_are_bytes_(tokens_are_bytes) {
  CAROUSEL_CHECK(sequence_length >= 1);
  const int64_t labels = std::max<int64_t>(0, part.token_count() - 1);
  count_ = labels / sequence_length + (labels % sequence_length != 0);
}

absl::Status TokenWindows::Read(int64_t window, int64_t b, MicroBatch* batch) const {
  CAROUSEL_CHECK(window >= 0 && window < count_ && b >= 0 && b < batch->sequences);
  const int64_t first = window * sequence_length_;
  const int64_t count = std::min(sequence_length_ + 1, part_.token_count() - first);
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  std::vector<uint8_t> starts(static_cast<size_t>(count));
  CAROUSEL_RETURN_IF_ERROR(part_.Read(first, count, tokens.data(), starts.data()));

  for (int64_t t = 0; t < sequence_length_; ++t) {
    const int64_t at = t * batch->sequences + b;
    const bool has_label = t + 1 < count;
    const bool crosses = has_label && reset_at_document_boundaries_ && starts[t + 1] != 0;
    const bool resets = t < count && reset_at_document_boundaries_ && starts[t] != 0;
    batch->tokens[at] = t < count ? tokens[t] : 0;
    batch->labels[at] = has_label && !crosses ? tokens[t + 1] : kIgnoredLabel;
    batch->resets[at] = t == 0 || resets;
    if (batch->labels[at] == kIgnoredLabel) continue;
    batch->predicted += 1;
    if (tokens_are_bytes_) batch->predicted_bytes += ByteTokenizer::TextBytes(batch->labels[at]);
  }
  return absl::OkStatus();
}

}  // namespace carousel
