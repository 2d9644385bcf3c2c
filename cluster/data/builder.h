// Builds a dataset folder (dataset_manifest.h) out of text files, in one pass and in constant
// memory. `carousel data build` is this with a progress bar.
//
// Input formats, by the name's ending: NAME.jsonl is JSON Lines, anything else is plain text; with
// ".zst" appended it is decompressed on the way. Text is bytes: it need not be UTF-8 and nothing in
// it is changed. (JSON must be UTF-8; its strings are taken unescaped.)
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cluster/data/dataset_manifest.h"

namespace carousel {

struct BuildProgress {
  int64_t bytes_done = 0;   // of the input files, as they lie on disk
  int64_t bytes_total = 0;  // 0 if not known (an input is a pipe)
  int64_t documents = 0;
  int64_t tokens = 0;
};

struct BuildOptions {
  std::vector<std::string> inputs;  // in the order in which their text is to stand
  std::string output;               // folder to create
  // Plain text: the line that separates documents, "" for empty lines; none makes every file one
  // document (document_splitter.h).
  std::optional<std::string> document_separator;
  std::string text_field = "text";        // JSON Lines: the field that holds the document
  int64_t held_out_block_tokens = 65536;  // held_out.h
  int64_t held_out_every = 50;            // 0: nothing is held out
  // Called about once per 256 KiB of text, from the calling thread; false ends the build with
  // kCancelled. May be empty.
  std::function<bool(const BuildProgress&)> progress;
};

// The output folder appears whole and durable, or not at all (staging_folder.h), and its manifest
// is returned. Errors name the file, and for JSON Lines the line:
//   kInvalidArgument    bad option, bad line, damaged zstd, no text at all
//   kAlreadyExists      the output exists; CheckAlreadyBuilt tells whether it is the same dataset
//   kNotFound, kPermissionDenied, kResourceExhausted (disk full), kInternal (a disk that fails)
//   kUnavailable        another process is building the same folder
//   kCancelled          by the progress callback
absl::StatusOr<DatasetManifest> BuildDataset(const BuildOptions& options);

// Whether options.output already holds what BuildDataset(options) would write: same text (the input
// files are read and hashed; their names do not matter) under the same rules. OK if so; kNotFound
// if there is no dataset; kFailedPrecondition names the first difference; kDataLoss if its manifest
// is damaged.
absl::Status CheckAlreadyBuilt(const BuildOptions& options);

}  // namespace carousel
