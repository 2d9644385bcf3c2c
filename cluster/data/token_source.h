// TokenSource: a token stream with document borders that can be read anywhere. An indexed dataset
// on disk and the synthetic corpus stand behind it.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"

namespace carousel {

// Thread-safe: every method is const and keeps no position. Positions count tokens from 0.
class TokenSource {
 public:
  virtual ~TokenSource() = default;

  virtual int64_t token_count() const = 0;
  virtual int64_t document_count() const = 0;

  // tokens[count]: the tokens at [first, first + count), which lies within the stream. Each is at
  // least 0 and below the vocabulary, whatever the file says: kDataLoss otherwise.
  virtual absl::Status Read(int64_t first, int64_t count, int32_t* tokens) const = 0;

  // Appends, in order, the positions within [first, end) at which a document begins. Position 0
  // always is one.
  virtual absl::Status AppendDocumentStarts(int64_t first, int64_t end,
                                            std::vector<int64_t>* starts) const = 0;
};

}  // namespace carousel
