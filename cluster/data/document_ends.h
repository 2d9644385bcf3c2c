// Whether documents end where their separator stands: what a token stream promises beside its ids.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cluster/data/dataset_manifest.h"

namespace carousel {

// Takes a stream piece by piece. Not thread-safe.
//
// In a dataset with a separator token the last token of each document is that one; in one of bytes
// it stands nowhere else. (Other tokenizers may find it in a text, too.) Without one there is
// nothing to check.
class DocumentEnds {
 public:
  // `path` names the .bin file in errors.
  DocumentEnds(const DatasetManifest& manifest, std::string path);

  // The tokens from position `first` on, which follow the piece before. starts: the positions
  // among them at which documents begin, ascending. kInvalidArgument names the first wrong token.
  absl::Status Add(int64_t first, std::span<const int32_t> tokens,
                   const std::vector<int64_t>& starts);

  // The stream ends before position `count`.
  absl::Status Finish(int64_t count) const;

 private:
  // A document ends, or does not, before `position`.
  absl::Status Check(int64_t position, bool ends) const;

  const std::optional<int32_t> separator_;
  const bool nowhere_else_;
  const std::string path_;
  int32_t previous_;
};

}  // namespace carousel
