// Makes a dataset folder (dataset_manifest.h) of tokens that were made elsewhere: an indexed
// dataset (indexed_format.h) as Megatron-LM's preprocess_data writes it. `carousel data import` is
// this with a progress bar.
//
// The tokens stay as they are, and documents are those of the index. What the pair does not say,
// the caller does: how large the vocabulary is, and which token ends a document, if one does.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cluster/data/dataset_manifest.h"
#include "cluster/data/file_io.h"

namespace carousel {

struct ImportOptions {
  std::string prefix;  // of prefix.bin and prefix.idx
  std::string output;  // folder to create
  int64_t vocabulary = 0;
  std::string tokenizer = "external";  // a name, for people and for the content hash
  std::optional<int64_t> separator;    // the token that ends every document
  // Hard links in place of copies: no bytes are written, but whoever overwrites prefix.bin in place
  // overwrites the dataset. The output must lie on the same file system.
  bool link = false;
  int64_t held_out_block_tokens = 65536;  // held_out.h
  int64_t held_out_every = 50;            // 0: nothing is held out
  // Counts bytes, of both files together; false ends the import with kCancelled. May be empty.
  ByteProgress progress;
};

// Reads each file once, in constant memory: every token id is checked against the vocabulary, the
// ends of documents against the separator, the index against both files. Like BuildDataset, the
// output folder appears whole and durable, or not at all. Errors name the file and the place:
//   kInvalidArgument    bad option, malformed pair, a token beyond the vocabulary, a document that
//                       does not end with the separator
//   kDataLoss           a file that changes while it is read
//   kAlreadyExists      the output exists
//   kFailedPrecondition the files cannot be linked
//   kNotFound, kPermissionDenied, kResourceExhausted, kUnavailable, kCancelled as BuildDataset
absl::StatusOr<DatasetManifest> ImportDataset(const ImportOptions& options);

}  // namespace carousel
