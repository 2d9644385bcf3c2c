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
#include "cluster/data/held_out.h"

namespace carousel {

inline constexpr int64_t kDatasetFormatVersion = 1;

struct DatasetFile {
  int64_t bytes = 0;
  std::string xxh3_128;  // content_hash.h

  bool operator==(const DatasetFile&) const = default;
};

// One input file, in the order of the build.
struct DatasetSource {
  std::string path;    // as it was given
  std::string format;  // "text", "jsonl", with ".zst" appended when compressed
  DatasetFile content;
  int64_t documents = 0;

  bool operator==(const DatasetSource&) const = default;
};

struct DatasetManifest {
  std::string tokenizer;
  int64_t vocabulary = 0;
  int64_t tokens = 0;
  int64_t documents = 0;
  int64_t empty_documents = 0;  // skipped: a document without text gives no tokens
  DatasetFile bin;
  DatasetFile idx;
  std::optional<std::string> document_separator;  // builder.h
  std::string text_field;
  std::vector<DatasetSource> sources;
  HeldOutRule held_out;

  bool operator==(const DatasetManifest&) const = default;
};

std::string ManifestPath(const std::string& folder);
std::string TokensPrefix(const std::string& folder);  // of the .bin and .idx

// JSON, two-space indented, with a final line feed.
std::string FormatManifest(const DatasetManifest& manifest);

// `origin` names the text in errors, which name the field, its value and what it should be.
absl::StatusOr<DatasetManifest> ParseManifest(std::string_view json, std::string_view origin);

// Reads FOLDER/manifest.json; kNotFound says how a dataset is made.
absl::StatusOr<DatasetManifest> ReadManifest(const std::string& folder);

}  // namespace carousel
