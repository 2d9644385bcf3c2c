#include "cluster/data/indexed_dataset.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/check.h"
#include "cluster/counted.h"
#include "cluster/data/token_codec.h"
#include "cluster/status_macros.h"

namespace carousel {
namespace {

constexpr int64_t kEntriesPerRead = 1 << 14;
constexpr int64_t kTokensPerRead = 1 << 14;
constexpr int64_t kDocumentsPerRead = 64;

template <class... Parts>
absl::Status Malformed(const RandomAccessFile& file, const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(file.path(), ": ", parts...));
}

template <class Number>
Number NumberAt(const char* bytes) {
  Number number;
  std::memcpy(&number, bytes, sizeof(Number));
  return number;
}

}  // namespace

absl::StatusOr<std::unique_ptr<IndexedDataset>> IndexedDataset::Open(const std::string& prefix,
                                                                     int64_t vocabulary) {
  CAROUSEL_CHECK(vocabulary >= 1 && vocabulary <= INT32_MAX);
  CAROUSEL_ASSIGN_OR_RETURN(RandomAccessFile bin, RandomAccessFile::Open(prefix + ".bin"));
  CAROUSEL_ASSIGN_OR_RETURN(RandomAccessFile idx, RandomAccessFile::Open(prefix + ".idx"));
  std::unique_ptr<IndexedDataset> dataset(
      new IndexedDataset(std::move(bin), std::move(idx), vocabulary));
  CAROUSEL_RETURN_IF_ERROR(dataset->ReadHeader());
  CAROUSEL_RETURN_IF_ERROR(dataset->CheckSequences());
  CAROUSEL_RETURN_IF_ERROR(dataset->CheckDocuments());
  return dataset;
}

absl::Status IndexedDataset::ReadHeader() {
  const int64_t size = idx_.size();
  if (size < kIndexHeaderBytes) {
    return Malformed(idx_, "has ", Counted(size, "byte"), ", fewer than the ", kIndexHeaderBytes,
                     " of an index header; it has been cut short or is another kind of file");
  }
  char header[kIndexHeaderBytes];
  CAROUSEL_RETURN_IF_ERROR(idx_.Read(0, kIndexHeaderBytes, header));
  if (std::string_view(header, kIndexMagic.size()) != kIndexMagic) {
    return Malformed(idx_, "magic: does not begin with MMIDIDX, so it is no Megatron-LM index");
  }
  const auto version = NumberAt<uint64_t>(header + 9);
  if (version != kIndexVersion) {
    return Malformed(idx_, "version: is ", version, ", only ", kIndexVersion, " can be read");
  }
  const auto type_code = NumberAt<uint8_t>(header + 17);
  type_ = static_cast<TokenType>(type_code);
  if (TokenBytes(type_) == 0) {
    return Malformed(idx_, "token type: is ", int{type_code},
                     ", expected 1 (u8), 3 (i16), 4 (i32), 5 (i64) or 8 (u16)");
  }
  return CheckCounts(NumberAt<uint64_t>(header + 18), NumberAt<uint64_t>(header + 26));
}

absl::Status IndexedDataset::CheckCounts(uint64_t sequences, uint64_t entries) {
  // Bounded by the file's size before anything is multiplied or allocated.
  const auto size = static_cast<uint64_t>(idx_.size());
  const uint64_t room = (size - kIndexHeaderBytes) / 12;
  if (sequences < 1 || sequences > room) {
    return Malformed(idx_, "sequence count: is ", sequences, ", but a file of ", size,
                     " bytes holds 1 to ", room);
  }
  if (entries < 2 || entries > sequences + 1) {
    return Malformed(idx_, "document count: is ", entries, ", expected 2 to ", sequences + 1,
                     " (one more than the documents, each of which has a sequence)");
  }
  const uint64_t bytes = kIndexHeaderBytes + 12 * sequences + 8 * entries;
  const uint64_t bytes_with_modes = bytes + sequences;
  if (size != bytes && size != bytes_with_modes) {
    return Malformed(idx_, "size: is ", size, " bytes, but its counts ask for ", bytes, " (or ",
                     bytes_with_modes, " with modes); it has been cut short or extended");
  }
  sequences_ = static_cast<int64_t>(sequences);
  documents_ = static_cast<int64_t>(entries) - 1;
  offsets_at_ = kIndexHeaderBytes + 4 * sequences_;
  documents_at_ = offsets_at_ + 8 * sequences_;
  if (bin_.size() % TokenBytes(type_) != 0) {
    return Malformed(bin_, "size: is ", Counted(bin_.size(), "byte"),
                     ", which is no whole number of ", TokenBytes(type_),
                     "-byte tokens; it has been cut short");
  }
  tokens_ = bin_.size() / TokenBytes(type_);
  return absl::OkStatus();
}

absl::Status IndexedDataset::CheckSequence(int64_t sequence, int32_t length, int64_t offset,
                                           int64_t expected_offset) const {
  if (length < 1) {
    return Malformed(idx_, "sequence ", sequence, " length: is ", length, ", expected at least 1");
  }
  if (offset != expected_offset) {
    return Malformed(idx_, "sequence ", sequence, " offset: is ", offset, ", expected ",
                     expected_offset, ", where the sequence before it ends");
  }
  const int64_t end = offset + length * TokenBytes(type_);
  if (end > bin_.size()) {
    return Malformed(bin_, "has ", Counted(bin_.size(), "byte"), ", but sequence ", sequence,
                     " of its index ends at ", end, "; it has been cut short");
  }
  return absl::OkStatus();
}

absl::Status IndexedDataset::CheckSequences() const {
  std::vector<int32_t> lengths;
  std::vector<int64_t> offsets;
  int64_t end = 0;  // bytes of the .bin spoken for so far
  for (int64_t first = 0; first < sequences_; first += kEntriesPerRead) {
    const int64_t count = std::min(sequences_ - first, kEntriesPerRead);
    lengths.resize(static_cast<size_t>(count));
    offsets.resize(static_cast<size_t>(count));
    CAROUSEL_RETURN_IF_ERROR(idx_.Read(kIndexHeaderBytes + 4 * first, 4 * count, lengths.data()));
    CAROUSEL_RETURN_IF_ERROR(idx_.Read(offsets_at_ + 8 * first, 8 * count, offsets.data()));
    for (int64_t i = 0; i < count; ++i) {
      CAROUSEL_RETURN_IF_ERROR(CheckSequence(first + i, lengths[i], offsets[i], end));
      end += lengths[i] * TokenBytes(type_);
    }
  }
  if (end != bin_.size()) {
    return Malformed(bin_, "has ", Counted(bin_.size(), "byte"), ", but its index describes ", end,
                     "; the two do not belong together");
  }
  return absl::OkStatus();
}

absl::Status IndexedDataset::CheckDocuments() const {
  std::vector<int64_t> block;
  int64_t previous = -1;
  for (int64_t first = 0; first <= documents_; first += kEntriesPerRead) {
    block.resize(static_cast<size_t>(std::min(documents_ + 1 - first, kEntriesPerRead)));
    CAROUSEL_RETURN_IF_ERROR(
        idx_.Read(documents_at_ + 8 * first, 8 * static_cast<int64_t>(block.size()), block.data()));
    for (size_t i = 0; i < block.size(); ++i) {
      const int64_t index = first + static_cast<int64_t>(i);
      if (index == 0 && block[i] != 0) {
        return Malformed(idx_, "document index 0: is ", block[i], ", expected 0");
      }
      if (block[i] <= previous || block[i] > sequences_) {
        return Malformed(idx_, "document index ", index, ": is ", block[i], ", expected more than ",
                         previous, " and at most ", sequences_);
      }
      previous = block[i];
    }
  }
  if (previous != sequences_) {
    return Malformed(idx_, "document index ", documents_, " (the last): is ", previous,
                     ", expected the sequence count ", sequences_);
  }
  return absl::OkStatus();
}

absl::Status IndexedDataset::Read(int64_t first, int64_t count, int32_t* tokens) const {
  CAROUSEL_CHECK(first >= 0 && count >= 0 && first <= tokens_ - count);
  const int64_t width = TokenBytes(type_);
  std::vector<char> stored(static_cast<size_t>(std::min(count, kTokensPerRead) * width));
  for (int64_t done = 0; done < count;) {
    const int64_t block = std::min(count - done, kTokensPerRead);
    CAROUSEL_RETURN_IF_ERROR(bin_.Read((first + done) * width, block * width, stored.data()));
    const int64_t good = DecodeTokens(type_, stored.data(), block, vocabulary_, tokens + done);
    if (good < block) {
      return absl::DataLossError(absl::StrCat(
          bin_.path(), ": token ", first + done + good, " is ",
          StoredNumber(type_, stored.data() + good * width), ", not in the vocabulary of ",
          vocabulary_, "; the file is damaged or was made with another tokenizer"));
    }
    done += block;
  }
  return absl::OkStatus();
}

absl::Status IndexedDataset::ChangedInUse(int64_t document) const {
  return absl::DataLossError(absl::StrCat(idx_.path(), ": where document ", document,
                                          " begins changed while the file was in use"));
}

absl::Status IndexedDataset::ReadDocumentStarts(int64_t first, int64_t count,
                                                int64_t* starts) const {
  CAROUSEL_RETURN_IF_ERROR(idx_.Read(documents_at_ + 8 * first, 8 * count, starts));
  // Checked at Open; looked at again because the file may have been written to since.
  const int64_t first_sequence = starts[0];
  for (int64_t i = 0; i < count; ++i) {
    if (starts[i] < first_sequence + i || starts[i] >= sequences_ || first_sequence < 0) {
      return ChangedInUse(first + i);
    }
  }
  const bool one_sequence_each = starts[count - 1] == first_sequence + count - 1;
  if (one_sequence_each) {
    CAROUSEL_RETURN_IF_ERROR(idx_.Read(offsets_at_ + 8 * first_sequence, 8 * count, starts));
  }
  for (int64_t i = 0; i < count; ++i) {
    if (!one_sequence_each) {
      CAROUSEL_RETURN_IF_ERROR(idx_.Read(offsets_at_ + 8 * starts[i], 8, &starts[i]));
    }
    if (starts[i] < 0 || starts[i] >= bin_.size()) return ChangedInUse(first + i);
    starts[i] /= TokenBytes(type_);
  }
  return absl::OkStatus();
}

absl::Status IndexedDataset::AppendDocumentStarts(int64_t first, int64_t end,
                                                  std::vector<int64_t>* starts) const {
  int64_t low = 0;
  int64_t high = documents_;  // the first document that starts at or after `first`
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    int64_t start = 0;
    CAROUSEL_RETURN_IF_ERROR(ReadDocumentStarts(middle, 1, &start));
    if (start < first) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  int64_t block[kDocumentsPerRead];
  int64_t previous = -1;
  for (int64_t document = low; document < documents_; document += kDocumentsPerRead) {
    const int64_t count = std::min(documents_ - document, kDocumentsPerRead);
    CAROUSEL_RETURN_IF_ERROR(ReadDocumentStarts(document, count, block));
    for (int64_t i = 0; i < count; ++i) {
      if (block[i] <= previous) return ChangedInUse(document + i);
      previous = block[i];
      if (previous >= end) return absl::OkStatus();
      if (previous >= first) starts->push_back(previous);
    }
  }
  return absl::OkStatus();
}

}  // namespace carousel
