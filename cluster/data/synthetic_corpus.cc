#include "cluster/data/synthetic_corpus.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "cluster/check.h"
#include "cluster/data/data_limits.h"
#include "cluster/data/keyed_random.h"
#include "cluster/data/tokenizer.h"

namespace carousel {
namespace {

// What a random word is drawn for; part of its key, so that no two uses share one.
enum Use : uint64_t { kUseWord = 1, kUseFollower, kUseBorder, kUseParagraph };

std::string InventWord(uint64_t seed, uint64_t index) {
  constexpr std::string_view kConsonants = "bcdfghklmnprstvw";
  constexpr std::string_view kVowels = "aeiou";
  uint64_t random = MixKeys(seed, kUseWord, index);
  std::string word;
  const int syllables = 1 + static_cast<int>(random % 3);
  for (int i = 0; i < syllables; ++i) {
    random = MixBits(random);
    word += kConsonants[random % kConsonants.size()];
    word += kVowels[(random >> 8) % kVowels.size()];
    if ((random >> 16) % 3 == 0) word += kConsonants[(random >> 24) % kConsonants.size()];
  }
  return word;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SyntheticCorpus>> SyntheticCorpus::Create(
    int64_t seed, int64_t tokens, int64_t mean_document_length) {
  if (tokens < kMinSyntheticTokens || tokens > kMaxSyntheticTokens) {
    return absl::InvalidArgumentError(absl::StrCat("data.synthetic.tokens: is ", tokens,
                                                   ", expected ", kMinSyntheticTokens, " to ",
                                                   kMaxSyntheticTokens));
  }
  if (mean_document_length < kMinSyntheticDocument) {
    return absl::InvalidArgumentError(
        absl::StrCat("data.synthetic.mean_document_length: is ", mean_document_length,
                     ", expected at least ", kMinSyntheticDocument, " (a byte and the separator)"));
  }
  return std::unique_ptr<SyntheticCorpus>(
      new SyntheticCorpus(seed, tokens, std::min(mean_document_length, kMaxSyntheticTokens)));
}

SyntheticCorpus::SyntheticCorpus(int64_t seed, int64_t tokens, int64_t mean_document_length)
    : seed_(static_cast<uint64_t>(seed)),
      tokens_(tokens),
      mean_document_length_(mean_document_length) {
  for (int word = 0; word < kWords; ++word) {
    words_[word] = InventWord(seed_, word);
    for (int i = 0; i < kFollowers; ++i) {
      followers_[word][i] = MixKeys(seed_, kUseFollower, word * kFollowers + i) % kWords;
    }
  }
  documents_ = DocumentAt(tokens_ - 1) + 1;
}

int64_t SyntheticCorpus::DocumentStart(int64_t document) const {
  if (document == 0) return 0;
  const auto range = static_cast<uint64_t>(std::max<int64_t>(1, mean_document_length_ / 2));
  const uint64_t jitter = MixKeys(seed_, kUseBorder, static_cast<uint64_t>(document)) % range;
  return document * mean_document_length_ + static_cast<int64_t>(jitter);
}

int64_t SyntheticCorpus::DocumentAt(int64_t position) const {
  const int64_t document = position / mean_document_length_;
  return position >= DocumentStart(document) ? document : document - 1;
}

std::string SyntheticCorpus::Paragraph(int64_t document, int64_t paragraph) const {
  uint64_t random = MixKeys(MixKeys(seed_, kUseParagraph), static_cast<uint64_t>(document),
                            static_cast<uint64_t>(paragraph));
  std::string text;
  int word = static_cast<int>(random % kWords);
  while (static_cast<int64_t>(text.size()) < kParagraphBytes) {
    random = MixBits(random);
    text += words_[word];
    text += (random >> 32) % 8 == 0 ? ". " : " ";
    constexpr uint8_t kChoice[16] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3};
    word = followers_[word][kChoice[random % 16]];
  }
  text.resize(kParagraphBytes);
  text.back() = '\n';
  return text;
}

absl::Status SyntheticCorpus::Read(int64_t first, int64_t count, int32_t* tokens) const {
  CAROUSEL_CHECK(first >= 0 && count >= 0 && first <= tokens_ - count);
  int64_t document = count > 0 ? DocumentAt(first) : 0;
  for (int64_t position = first; position < first + count; ++document) {
    const int64_t start = DocumentStart(document);
    const int64_t separator = std::min(DocumentStart(document + 1), tokens_) - 1;
    while (position < first + count && position < separator) {
      const int64_t within = position - start;
      const std::string text = Paragraph(document, within / kParagraphBytes);
      const std::string_view rest = std::string_view(text).substr(within % kParagraphBytes);
      const int64_t length = std::min(
          {static_cast<int64_t>(rest.size()), separator - position, first + count - position});
      ByteTokenizer::Encode(rest.substr(0, length), tokens + (position - first));
      position += length;
    }
    if (position < first + count) tokens[position++ - first] = ByteTokenizer::kSeparator;
  }
  return absl::OkStatus();
}

absl::Status SyntheticCorpus::AppendDocumentStarts(int64_t first, int64_t end,
                                                   std::vector<int64_t>* starts) const {
  for (int64_t document = DocumentAt(first); document < documents_; ++document) {
    const int64_t start = DocumentStart(document);
    if (start >= end) break;
    if (start >= first) starts->push_back(start);
  }
  return absl::OkStatus();
}

}  // namespace carousel
