// GoldenFile: one case, NAME.f64.safetensors: inputs, and what the authors' code computed from them
// in double. All values are handed out as doubles, which hold the inputs (floats) and the results
// exactly; tokens as integers.
//
// Errors name the file, the tensor and what was expected: the file may come from anyone.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/safetensors.h"

namespace carousel::golden {

using Shape = std::vector<int64_t>;
using Values = std::vector<double>;

struct Tensor {
  Shape shape;
  Values values;  // row-major
};

class GoldenFile {
 public:
  // `path` ends in ".safetensors"; what stands before ".f64" or ".f32" is the case's name.
  static absl::StatusOr<GoldenFile> Open(const std::string& path);

  const std::string& path() const { return file_.path(); }
  const std::string& name() const { return name_; }
  const std::string& kind() const { return kind_; }

  // The case's description: sizes, chunk length, seeds.
  const nlohmann::json& config() const { return config_; }
  // A whole number of the description, or `otherwise` if it is not there.
  int64_t Int(const std::string& key, int64_t otherwise) const;
  double Number(const std::string& key, double otherwise) const;

  // A list of names in the metadata, as JSON text.
  absl::StatusOr<std::vector<std::string>> NameList(const std::string& key) const;

  // Gates of 20 to 40 and denominators that cancel: allowed more, see README.md.
  bool extreme() const;

  bool Has(const std::string& name) const { return file_.Find(name) != nullptr; }
  // Names of all tensors, or of those that begin with `prefix`; ascending.
  std::vector<std::string> Names(const std::string& prefix = "") const;
  // Of all results: tensors in double.
  std::vector<std::string> Results() const;

  // A tensor of float or double elements.
  absl::StatusOr<Tensor> Get(const std::string& name) const;
  // The same; its shape must be `shape`.
  absl::StatusOr<Values> Get(const std::string& name, const Shape& shape) const;
  // A tensor of integers [B, S...] in [least, limit).
  absl::StatusOr<std::vector<int32_t>> GetTokens(const std::string& name, const Shape& shape,
                                                 int64_t least, int64_t limit) const;
  absl::StatusOr<Shape> ShapeOf(const std::string& name) const;

 private:
  absl::StatusOr<const SafetensorsTensor*> Find(const std::string& name) const;
  absl::Status Wrong(const std::string& tensor, const std::string& what) const;

  SafetensorsFile file_;
  std::string name_, kind_;
  nlohmann::json config_;
};

// "[2, 4, 8]"
std::string Text(const Shape& shape);

int64_t Elements(const Shape& shape);

}  // namespace carousel::golden
