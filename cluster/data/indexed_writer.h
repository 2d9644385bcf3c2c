// Writes an indexed dataset (indexed_format.h) front to back in constant memory: sequence lengths
// and document borders wait in two spill files until their number is known.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cluster/data/file_io.h"
#include "cluster/data/indexed_format.h"

namespace carousel {

// What was written; hashes are those of content_hash.h.
struct IndexedTotals {
  int64_t tokens = 0;
  int64_t documents = 0;
  int64_t sequences = 0;
  int64_t bin_bytes = 0;
  int64_t idx_bytes = 0;
  std::string bin_hash;
  std::string idx_hash;
};

// Not thread-safe. Until Finish returns OK there is no .idx, so nothing that a reader would open.
// After an error the writer is of no further use; the caller removes the folder.
class IndexedWriter {
 public:
  // Creates prefix.bin, prefix.lengths.spill and prefix.documents.spill.
  // max_sequence_tokens: longer documents are cut into several sequences; smaller in tests only.
  static absl::StatusOr<IndexedWriter> Create(const std::string& prefix, TokenType type,
                                              int64_t max_sequence_tokens = kMaxSequenceTokens);

  // More tokens of the open document. Ids must fit the token type.
  absl::Status Append(std::span<const int32_t> tokens);

  // Closes the open document; at least one token must have been appended to it.
  absl::Status EndDocument();

  // Writes the .idx, makes both files durable and removes the spill files. The last document must
  // be closed, and there must be one.
  absl::StatusOr<IndexedTotals> Finish();

  int64_t tokens() const { return totals_.tokens; }
  int64_t documents() const { return totals_.documents; }

 private:
  IndexedWriter(std::string prefix, TokenType type, int64_t max_sequence_tokens,
                SequentialWriter bin, SequentialWriter lengths, SequentialWriter documents);

  absl::Status EndSequence();
  absl::Status WriteIndex(SequentialWriter* idx) const;

  std::string prefix_;
  TokenType type_;
  int64_t max_sequence_tokens_;
  SequentialWriter bin_;
  SequentialWriter lengths_;        // i32 per sequence
  SequentialWriter documents_;      // i64 per document: its first sequence
  std::string encoded_;             // scratch of Append
  int64_t sequence_tokens_ = 0;     // of the open sequence
  int64_t document_sequences_ = 0;  // closed sequences of the open document
  IndexedTotals totals_;
};

}  // namespace carousel
