// One file of a dataset as the manifest describes it, and whether the file on disk is that one.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "cluster/data/file_io.h"

namespace carousel {

struct DatasetFile {
  int64_t bytes = 0;
  std::string xxh3_128;  // content_hash.h

  bool operator==(const DatasetFile&) const = default;
};

// kDataLoss if the file has another size, resp. other content, than the manifest says.
absl::Status CheckSize(const RandomAccessFile& file, const DatasetFile& expected);
// Reads the whole file; `progress` may be empty.
absl::Status CheckHash(const RandomAccessFile& file, const DatasetFile& expected,
                       const ByteProgress& progress);

}  // namespace carousel
