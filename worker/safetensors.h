// Safetensors: the file format of published weights, read strictly.
//
//   u64 N, little-endian | N bytes of JSON, a '{' first | data
//   {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ...,
//    "__metadata__": {"key": "text", ...}}
//
// Offsets count from the first byte of the data; the tensors' runs cover the data without holes or
// overlaps; elements are row-major and little-endian. A file comes from a stranger: everything is
// checked before anything is allocated from what it says (kMaxHeaderBytes and the other limits
// below), and an error names the file, the tensor, the value and the limit. Format:
// https://github.com/huggingface/safetensors, README and src/tensor.rs.
//
// Thread-safe after Open.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace carousel {

struct SafetensorsLimits {
  static constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the reference implementation's
  static constexpr size_t kMaxTensors = 1'000'000;
  static constexpr size_t kMaxRank = 8;
  static constexpr size_t kMaxNameBytes = 1024;
};

struct SafetensorsTensor {
  std::string dtype;           // as written: "F32"
  std::vector<int64_t> shape;  // every extent >= 1; empty: a scalar
  uint64_t begin = 0;          // bytes [begin, end) of the data
  uint64_t end = 0;

  int64_t elements() const;
  uint64_t bytes() const { return end - begin; }
};

struct SafetensorsHeader {
  std::map<std::string, SafetensorsTensor> tensors;
  std::map<std::string, std::string> metadata;
};

// The header of a file whose data is `data_bytes` long, from its JSON. kInvalidArgument with the
// culprit.
absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(std::string_view json,
                                                         uint64_t data_bytes);

// An open file; closed with the last copy.
class SafetensorsFile {
 public:
  // Reads and checks the header, no data. kNotFound, kPermissionDenied... as the system says;
  // kInvalidArgument if it is not such a file.
  static absl::StatusOr<SafetensorsFile> Open(const std::string& path);

  const std::string& path() const { return path_; }
  const std::map<std::string, SafetensorsTensor>& tensors() const { return header_.tensors; }
  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }

  // nullptr if there is none of that name.
  const SafetensorsTensor* Find(const std::string& name) const;

  // Copies the bytes of one of this file's tensors to `destination`, which holds tensor.bytes().
  absl::Status Read(const SafetensorsTensor& tensor, void* destination) const;

 private:
  std::string path_;
  std::shared_ptr<const int> descriptor_;
  uint64_t data_begin_ = 0;
  SafetensorsHeader header_;
};

}  // namespace carousel
