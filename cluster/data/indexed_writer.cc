#include "cluster/data/indexed_writer.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cluster/check.h"
#include "cluster/data/token_codec.h"
#include "cluster/status_macros.h"

namespace carousel {
namespace {

constexpr int64_t kSpillEntriesPerRead = 1 << 15;

template <class Number>
void AppendNumber(Number number, std::string* out) {
  char bytes[sizeof(Number)];
  std::memcpy(bytes, &number, sizeof(Number));
  out->append(bytes, sizeof(Number));
}

// Calls visit(entry) for each of the `count` numbers of a spill file.
template <class Number, class Visit>
absl::Status ForEachSpilled(const std::string& path, int64_t count, const Visit& visit) {
  CAROUSEL_ASSIGN_OR_RETURN(const RandomAccessFile file, RandomAccessFile::Open(path));
  std::vector<Number> block;
  for (int64_t i = 0; i < count; i += static_cast<int64_t>(block.size())) {
    block.resize(static_cast<size_t>(std::min(count - i, kSpillEntriesPerRead)));
    CAROUSEL_RETURN_IF_ERROR(file.Read(i * static_cast<int64_t>(sizeof(Number)),
                                       static_cast<int64_t>(block.size() * sizeof(Number)),
                                       block.data()));
    for (Number number : block) CAROUSEL_RETURN_IF_ERROR(visit(number));
  }
  return absl::OkStatus();
}

template <class Number>
absl::Status PutNumber(Number number, SequentialWriter* out) {
  return out->Append({reinterpret_cast<const char*>(&number), sizeof(Number)});
}

std::string LengthsPath(const std::string& prefix) { return prefix + ".lengths.spill"; }
std::string DocumentsPath(const std::string& prefix) { return prefix + ".documents.spill"; }

}  // namespace

IndexedWriter::IndexedWriter(std::string prefix, TokenType type, int64_t max_sequence_tokens,
                             SequentialWriter bin, SequentialWriter lengths,
                             SequentialWriter documents)
    : prefix_(std::move(prefix)),
      type_(type),
      max_sequence_tokens_(max_sequence_tokens),
      bin_(std::move(bin)),
      lengths_(std::move(lengths)),
      documents_(std::move(documents)) {}

absl::StatusOr<IndexedWriter> IndexedWriter::Create(const std::string& prefix, TokenType type,
                                                    int64_t max_sequence_tokens) {
  CAROUSEL_CHECK(max_sequence_tokens >= 1 && max_sequence_tokens <= kMaxSequenceTokens);
  CAROUSEL_ASSIGN_OR_RETURN(SequentialWriter bin, SequentialWriter::Create(prefix + ".bin"));
  CAROUSEL_ASSIGN_OR_RETURN(SequentialWriter lengths,
                            SequentialWriter::Create(LengthsPath(prefix)));
  CAROUSEL_ASSIGN_OR_RETURN(SequentialWriter documents,
                            SequentialWriter::Create(DocumentsPath(prefix)));
  return IndexedWriter(prefix, type, max_sequence_tokens, std::move(bin), std::move(lengths),
                       std::move(documents));
}

absl::Status IndexedWriter::Append(std::span<const int32_t> tokens) {
  while (!tokens.empty()) {
    if (sequence_tokens_ == max_sequence_tokens_) CAROUSEL_RETURN_IF_ERROR(EndSequence());
    const auto room = static_cast<size_t>(max_sequence_tokens_ - sequence_tokens_);
    const auto part = tokens.first(std::min(tokens.size(), room));
    EncodeTokens(type_, part, &encoded_);
    CAROUSEL_RETURN_IF_ERROR(bin_.Append(encoded_));
    sequence_tokens_ += static_cast<int64_t>(part.size());
    totals_.tokens += static_cast<int64_t>(part.size());
    tokens = tokens.subspan(part.size());
  }
  return absl::OkStatus();
}

absl::Status IndexedWriter::EndSequence() {
  CAROUSEL_RETURN_IF_ERROR(PutNumber(static_cast<int32_t>(sequence_tokens_), &lengths_));
  sequence_tokens_ = 0;
  ++document_sequences_;
  ++totals_.sequences;
  return absl::OkStatus();
}

absl::Status IndexedWriter::EndDocument() {
  CAROUSEL_CHECK(sequence_tokens_ > 0);
  CAROUSEL_RETURN_IF_ERROR(EndSequence());
  CAROUSEL_RETURN_IF_ERROR(PutNumber(totals_.sequences - document_sequences_, &documents_));
  document_sequences_ = 0;
  ++totals_.documents;
  return absl::OkStatus();
}

absl::StatusOr<IndexedTotals> IndexedWriter::Finish() {
  CAROUSEL_CHECK(sequence_tokens_ == 0 && totals_.documents > 0);
  CAROUSEL_RETURN_IF_ERROR(bin_.Finish());
  CAROUSEL_RETURN_IF_ERROR(lengths_.Finish());
  CAROUSEL_RETURN_IF_ERROR(documents_.Finish());
  CAROUSEL_ASSIGN_OR_RETURN(SequentialWriter idx, SequentialWriter::Create(prefix_ + ".idx"));
  CAROUSEL_RETURN_IF_ERROR(WriteIndex(&idx));
  CAROUSEL_RETURN_IF_ERROR(idx.Finish());
  unlink(LengthsPath(prefix_).c_str());
  unlink(DocumentsPath(prefix_).c_str());
  totals_.bin_bytes = bin_.size();
  totals_.idx_bytes = idx.size();
  totals_.bin_hash = bin_.Hash();
  totals_.idx_hash = idx.Hash();
  return totals_;
}

absl::Status IndexedWriter::WriteIndex(SequentialWriter* idx) const {
  std::string header(kIndexMagic);
  AppendNumber<uint64_t>(kIndexVersion, &header);
  AppendNumber<uint8_t>(static_cast<uint8_t>(type_), &header);
  AppendNumber<uint64_t>(static_cast<uint64_t>(totals_.sequences), &header);
  AppendNumber<uint64_t>(static_cast<uint64_t>(totals_.documents) + 1, &header);
  CAROUSEL_RETURN_IF_ERROR(idx->Append(header));

  CAROUSEL_RETURN_IF_ERROR(
      ForEachSpilled<int32_t>(LengthsPath(prefix_), totals_.sequences,
                              [&](int32_t length) { return PutNumber(length, idx); }));
  int64_t offset = 0;
  CAROUSEL_RETURN_IF_ERROR(
      ForEachSpilled<int32_t>(LengthsPath(prefix_), totals_.sequences, [&](int32_t length) {
        const int64_t start = std::exchange(offset, offset + length * TokenBytes(type_));
        return PutNumber(start, idx);
      }));
  CAROUSEL_RETURN_IF_ERROR(
      ForEachSpilled<int64_t>(DocumentsPath(prefix_), totals_.documents,
                              [&](int64_t sequence) { return PutNumber(sequence, idx); }));
  return PutNumber(totals_.sequences, idx);
}

}  // namespace carousel
