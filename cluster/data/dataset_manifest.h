// The manifest of a dataset folder: what the tokens are, where they came from, how to tell that
// they are unharmed, and which of them are held out.
//
//   FOLDER/manifest.json   this record, written last
//   FOLDER/tokens.bin      the tokens            (indexed_format.h)
//   FOLDER/tokens.idx      where documents lie   (indexed_format.h)
//
// Format version 1. It holds no time, host or user: the same text gives the same bytes. Unknown
// keys are ignored, so a later build may add some; a change of meaning raises the version.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cluster/data/dataset_file.h"
#include "cluster/data/held_out.h"
#include "cluster/data/tokenizer.h"

namespace carousel {

inline constexpr int64_t kDatasetFormatVersion = 1;

// One input file, in the order of the build.
struct DatasetSource {
  std::string path;    // as it was given
  std::string format;  // "text", "jsonl", with ".zst" appended when compressed; "megatron"
  DatasetFile content;
  int64_t documents = 0;

  bool operator==(const DatasetSource&) const = default;
};

struct DatasetManifest {
  std::string tokenizer;   // "byte" (tokenizer.h), or a name that only people understand
  int64_t vocabulary = 0;  // every token is below it
  int64_t tokens = 0;
  int64_t documents = 0;
  int64_t empty_documents = 0;  // skipped: a document without text gives no tokens
  DatasetFile bin;
  DatasetFile idx;
  std::optional<int32_t> separator_token;         // ends every document; none: nothing does
  std::optional<std::string> document_separator;  // builder.h
  std::string text_field;                         // builder.h; empty for imported tokens
  std::vector<DatasetSource> sources;
  HeldOutRule held_out;

  // Whether a token stands for a byte of text. Without that there are no bits per byte, no byte
  // n-grams, and no text for a token.
  bool tokens_are_bytes() const { return tokenizer == ByteTokenizer::kName; }

  bool operator==(const DatasetManifest&) const = default;
};

std::string ManifestPath(const std::string& folder);
std::string TokensPrefix(const std::string& folder);  // of the .bin and .idx

// A tokenizer's name is 1 to 128 printable ASCII characters without blanks, and "byte" has the
// vocabulary and the separator of ByteTokenizer. kInvalidArgument names the field.
absl::Status CheckTokenizer(const std::string& name, int64_t vocabulary,
                            std::optional<int64_t> separator);

// JSON, two-space indented, with a final line feed.
std::string FormatManifest(const DatasetManifest& manifest);

// `origin` names the text in errors, which name the field, its value and what it should be:
// kInvalidArgument for the manifest of something else or of another version, kDataLoss for one that
// is not as a build wrote it.
absl::StatusOr<DatasetManifest> ParseManifest(std::string_view json, std::string_view origin);

// Reads FOLDER/manifest.json: errors of ParseManifest; kNotFound says how a dataset is made.
absl::StatusOr<DatasetManifest> ReadManifest(const std::string& folder);

// Writes FOLDER/manifest.json, durably.
absl::Status WriteManifest(const std::string& folder, const DatasetManifest& manifest);

}  // namespace carousel
