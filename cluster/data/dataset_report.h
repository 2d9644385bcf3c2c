// What people ask of a dataset folder: is it unharmed (`carousel data verify`), and what is in it
// (`carousel data inspect`). Both stream; memory is constant.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cluster/data/dataset_manifest.h"
#include "cluster/data/file_io.h"

namespace carousel {

struct VerifyReport {
  std::vector<std::string> problems;  // each names its file; empty: the dataset is as it was built
  int64_t bytes_checked = 0;
};

// Reads everything: hashes both files, checks the index, every token against the vocabulary, and
// that documents end as they should (document_ends.h). What is wrong with the dataset is
// in the report; an error means that it could not be judged (no dataset there, kCancelled).
// `progress` counts bytes, of 2 * .bin + .idx in all; it may be empty.
absl::StatusOr<VerifyReport> VerifyDataset(const std::string& folder, const ByteProgress& progress);

struct DocumentLengths {  // in tokens, separator included
  int64_t count = 0;
  int64_t shortest = 0;
  int64_t longest = 0;
  double mean = 0;
  std::array<int64_t, 64> histogram{};  // [k]: documents of 2^k to 2^(k+1) - 1 tokens
};

struct DatasetSummary {
  DatasetManifest manifest;
  std::string content_hash;  // Dataset::content_hash
  int64_t training_tokens = 0;
  int64_t held_out_tokens = 0;
  int64_t held_out_blocks = 0;
  std::string warning;  // held_out.h: too little is held out; empty: all is well
  DocumentLengths documents;
  std::string sample;  // how the text begins, made safe for a terminal; empty if it is not known
  std::vector<int32_t> sample_tokens;  // how the tokens begin, if their text is not known
};

// `sample_length`: of the sample, in tokens.
absl::StatusOr<DatasetSummary> InspectDataset(const std::string& folder,
                                              int64_t sample_length = 400);

}  // namespace carousel
