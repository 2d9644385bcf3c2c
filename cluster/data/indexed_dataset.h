// Reads an indexed dataset (indexed_format.h), ours or one that Megatron-LM wrote, through an index
// that was checked from end to end before the first token is served.
//
// Memory is constant: nothing of the index is kept. A border is found by a binary search of the
// file (about 25 reads of 16 bytes among 30 million documents), small beside a training sequence.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cluster/data/file_io.h"
#include "cluster/data/indexed_format.h"
#include "cluster/data/token_source.h"

namespace carousel {

// Thread-safe. Holds both files open; a file that is replaced by renaming does not disturb it, one
// that shrinks gives kDataLoss.
class IndexedDataset : public TokenSource {
 public:
  // Opens prefix.bin and prefix.idx. Ids at or beyond `vocabulary` are refused when read.
  // kInvalidArgument names the file, the field, its value and what it should be.
  static absl::StatusOr<std::unique_ptr<IndexedDataset>> Open(const std::string& prefix,
                                                              int64_t vocabulary);

  int64_t token_count() const override { return tokens_; }
  int64_t document_count() const override { return documents_; }
  absl::Status Read(int64_t first, int64_t count, int32_t* tokens) const override;
  absl::Status AppendDocumentStarts(int64_t first, int64_t end,
                                    std::vector<int64_t>* starts) const override;

  int64_t sequence_count() const { return sequences_; }
  TokenType token_type() const { return type_; }

 private:
  IndexedDataset(RandomAccessFile bin, RandomAccessFile idx, int64_t vocabulary)
      : bin_(std::move(bin)), idx_(std::move(idx)), vocabulary_(vocabulary) {}

  absl::Status ReadHeader();
  // Takes the header's counts if they agree with both files' sizes. `entries`: document indices.
  absl::Status CheckCounts(uint64_t sequences, uint64_t entries);
  absl::Status CheckSequence(int64_t sequence, int32_t length, int64_t offset,
                             int64_t expected_offset) const;
  absl::Status CheckSequences() const;
  absl::Status CheckDocuments() const;
  absl::Status ChangedInUse(int64_t document) const;
  // starts[count]: where documents [first, first + count) begin, in tokens.
  absl::Status ReadDocumentStarts(int64_t first, int64_t count, int64_t* starts) const;

  RandomAccessFile bin_;
  RandomAccessFile idx_;
  int64_t vocabulary_;
  TokenType type_ = TokenType::kUint16;
  int64_t tokens_ = 0;
  int64_t sequences_ = 0;
  int64_t documents_ = 0;
  int64_t offsets_at_ = 0;    // where the byte offsets begin in the .idx
  int64_t documents_at_ = 0;  // where the document indices begin
};

}  // namespace carousel
