#include "cluster/data/corpus_part.h"

#include <algorithm>
#include <vector>

#include "cluster/check.h"
#include "cluster/status_macros.h"

namespace carousel {

absl::Status CorpusPart::Read(int64_t first, int64_t count, int32_t* tokens,
                              uint8_t* starts) const {
  CAROUSEL_CHECK(first >= 0 && count >= 0 && first <= token_count() - count);
  std::fill(starts, starts + count, uint8_t{0});
  std::vector<int64_t> document_starts;
  for (int64_t done = 0; done < count;) {
    const TokenRun run = split_.RunAt(first + done);
    const int64_t length = std::min(run.length, count - done);
    CAROUSEL_RETURN_IF_ERROR(source_->Read(run.position, length, tokens + done));
    document_starts.clear();
    CAROUSEL_RETURN_IF_ERROR(
        source_->AppendDocumentStarts(run.position, run.position + length, &document_starts));
    for (int64_t start : document_starts) starts[done + start - run.position] = 1;
    if (run.begins_run) starts[done] = 1;
    done += length;
  }
  return absl::OkStatus();
}

}  // namespace carousel
