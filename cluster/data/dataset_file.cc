#include "cluster/data/dataset_file.h"

#include "absl/strings/str_cat.h"
#include "cluster/counted.h"
#include "cluster/status_macros.h"

namespace carousel {
namespace {

constexpr char kRemedy[] = "; restore the file or make the dataset again";

}  // namespace

absl::Status CheckSize(const RandomAccessFile& file, const DatasetFile& expected) {
  if (file.size() == expected.bytes) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(file.path(), ": has ", Counted(file.size(), "byte"),
                                          ", its manifest says ", expected.bytes, kRemedy));
}

absl::Status CheckHash(const RandomAccessFile& file, const DatasetFile& expected,
                       const ByteProgress& progress) {
  CAROUSEL_ASSIGN_OR_RETURN(const std::string hash, HashFile(file, progress));
  if (hash == expected.xxh3_128) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(file.path(), ": its hash is ", hash,
                                          ", its manifest says ", expected.xxh3_128, kRemedy));
}

}  // namespace carousel
