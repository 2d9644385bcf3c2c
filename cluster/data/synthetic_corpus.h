// A made-up corpus that is a pure function of its seed: for smoke tests and examples that need no
// prepared data. It can be read anywhere at the same small cost, and it takes no memory.
//
// It is learnable: each corpus has a lexicon of 64 invented words, and each word is followed by one
// of four others with odds 8:4:2:2, so a model that spells and remembers one word does well, and
// one that counts letters does not. Sentences end with ". ", paragraphs of 256 bytes with a line
// feed, documents with the separator token.
//
// Documents: document d > 0 begins at d * M + jitter(d), with M the mean length and the jitter
// below M / 2; so borders fall anywhere, on no chunk's or window's edge, and are found by division.
//
// The bytes are part of the data contract: a change of the rule raises kVersion.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cluster/data/held_out.h"
#include "cluster/data/token_source.h"

namespace carousel {

// Thread-safe.
class SyntheticCorpus : public TokenSource {
 public:
  static constexpr int64_t kVersion = 1;

  // Limits are those of data_limits.h; errors name data.synthetic.<field>.
  static absl::StatusOr<std::unique_ptr<SyntheticCorpus>> Create(int64_t seed, int64_t tokens,
                                                                 int64_t mean_document_length);

  int64_t token_count() const override { return tokens_; }
  int64_t document_count() const override { return documents_; }
  absl::Status Read(int64_t first, int64_t count, int32_t* tokens) const override;
  absl::Status AppendDocumentStarts(int64_t first, int64_t end,
                                    std::vector<int64_t>* starts) const override;

  // Every 16th block of 4096 tokens.
  HeldOutRule held_out() const { return ChooseHeldOut(tokens_, 4096, 16); }

 private:
  static constexpr int kWords = 64;
  static constexpr int kFollowers = 4;
  static constexpr int64_t kParagraphBytes = 256;

  SyntheticCorpus(int64_t seed, int64_t tokens, int64_t mean_document_length);

  int64_t DocumentStart(int64_t document) const;
  int64_t DocumentAt(int64_t position) const;
  std::string Paragraph(int64_t document, int64_t paragraph) const;  // kParagraphBytes bytes

  uint64_t seed_;
  int64_t tokens_;
  int64_t mean_document_length_;
  int64_t documents_ = 0;
  std::array<std::string, kWords> words_;
  std::array<std::array<uint8_t, kFollowers>, kWords> followers_;
};

}  // namespace carousel
