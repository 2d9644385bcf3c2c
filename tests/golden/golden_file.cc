#include "tests/golden/golden_file.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cluster/status_macros.h"

namespace carousel::golden {
namespace {

// NAME of DIR/NAME.f64.safetensors.
std::string NameOf(const std::string& path) {
  std::string name = path.substr(path.find_last_of('/') + 1);
  for (const char* ending : {".f64.safetensors", ".f32.safetensors", ".safetensors"}) {
    const size_t length = std::strlen(ending);
    if (name.size() > length && name.compare(name.size() - length, length, ending) == 0) {
      return name.substr(0, name.size() - length);
    }
  }
  return name;
}

}  // namespace

std::string Text(const Shape& shape) { return absl::StrCat("[", absl::StrJoin(shape, ", "), "]"); }

int64_t Elements(const Shape& shape) {
  int64_t product = 1;
  for (int64_t extent : shape) product *= extent;
  return product;
}

absl::StatusOr<GoldenFile> GoldenFile::Open(const std::string& path) {
  GoldenFile golden;
  CAROUSEL_ASSIGN_OR_RETURN(golden.file_, SafetensorsFile::Open(path));
  golden.name_ = NameOf(path);
  const auto& metadata = golden.file_.metadata();
  const auto kind = metadata.find("kind"), config = metadata.find("config");
  if (kind == metadata.end() || config == metadata.end()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": __metadata__ lacks ",
                                                   kind == metadata.end() ? "kind" : "config",
                                                   "; not a golden case"));
  }
  golden.kind_ = kind->second;
  golden.config_ = nlohmann::json::parse(config->second, nullptr, /*allow_exceptions=*/false);
  if (!golden.config_.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": __metadata__.config is not a JSON object"));
  }
  return golden;
}

int64_t GoldenFile::Int(const std::string& key, int64_t otherwise) const {
  const auto found = config_.find(key);
  return found != config_.end() && found->is_number_integer() ? found->get<int64_t>() : otherwise;
}

double GoldenFile::Number(const std::string& key, double otherwise) const {
  const auto found = config_.find(key);
  return found != config_.end() && found->is_number() ? found->get<double>() : otherwise;
}

absl::StatusOr<std::vector<std::string>> GoldenFile::NameList(const std::string& key) const {
  const auto found = file_.metadata().find(key);
  if (found == file_.metadata().end()) {
    return absl::InvalidArgumentError(absl::StrCat(path(), ": __metadata__ lacks ", key));
  }
  const auto list = nlohmann::json::parse(found->second, nullptr, /*allow_exceptions=*/false);
  std::vector<std::string> names;
  if (list.is_array()) {
    for (const auto& item : list) {
      if (item.is_string()) names.push_back(item.get<std::string>());
    }
  }
  if (!list.is_array() || names.size() != list.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path(), ": __metadata__.", key, " is not a JSON list of names"));
  }
  return names;
}

bool GoldenFile::extreme() const {
  const auto gates = config_.find("gates");
  return name_.find("extreme") != std::string::npos || config_.contains("extreme") ||
         (gates != config_.end() && *gates == "extreme");
}

std::vector<std::string> GoldenFile::Names(const std::string& prefix) const {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : file_.tensors()) {
    if (name.compare(0, prefix.size(), prefix) == 0) names.push_back(name);
  }
  return names;
}

std::vector<std::string> GoldenFile::Results() const {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : file_.tensors()) {
    if (tensor.dtype == "F64") names.push_back(name);
  }
  return names;
}

absl::StatusOr<Tensor> GoldenFile::Get(const std::string& name) const {
  CAROUSEL_ASSIGN_OR_RETURN(const SafetensorsTensor* const found, Find(name));
  Tensor tensor{found->shape, Values(found->elements())};
  if (found->dtype == "F64") {
    CAROUSEL_RETURN_IF_ERROR(file_.Read(*found, tensor.values.data()));
    return tensor;
  }
  if (found->dtype != "F32")
    return Wrong(name, absl::StrCat("is ", found->dtype, ", not F32 or F64"));
  std::vector<float> narrow(tensor.values.size());
  CAROUSEL_RETURN_IF_ERROR(file_.Read(*found, narrow.data()));
  tensor.values.assign(narrow.begin(), narrow.end());
  return tensor;
}

absl::StatusOr<Values> GoldenFile::Get(const std::string& name, const Shape& shape) const {
  CAROUSEL_ASSIGN_OR_RETURN(Tensor tensor, Get(name));
  if (tensor.shape != shape) {
    return Wrong(name, absl::StrCat("is ", Text(tensor.shape), " instead of ", Text(shape)));
  }
  return std::move(tensor.values);
}

absl::StatusOr<std::vector<int32_t>> GoldenFile::GetTokens(const std::string& name,
                                                           const Shape& shape, int64_t least,
                                                           int64_t limit) const {
  CAROUSEL_ASSIGN_OR_RETURN(const SafetensorsTensor* const found, Find(name));
  if (found->dtype != "I64") return Wrong(name, absl::StrCat("is ", found->dtype, ", not I64"));
  if (found->shape != shape) {
    return Wrong(name, absl::StrCat("is ", Text(found->shape), " instead of ", Text(shape)));
  }
  std::vector<int64_t> wide(found->elements());
  CAROUSEL_RETURN_IF_ERROR(file_.Read(*found, wide.data()));
  std::vector<int32_t> tokens;
  for (int64_t token : wide) {
    if (token < least || token >= limit) {
      return Wrong(name,
                   absl::StrCat("has the token ", token, ", not in [", least, ", ", limit, ")"));
    }
    tokens.push_back(static_cast<int32_t>(token));
  }
  return tokens;
}

absl::StatusOr<Shape> GoldenFile::ShapeOf(const std::string& name) const {
  CAROUSEL_ASSIGN_OR_RETURN(const SafetensorsTensor* const found, Find(name));
  return found->shape;
}

absl::StatusOr<const SafetensorsTensor*> GoldenFile::Find(const std::string& name) const {
  const SafetensorsTensor* found = file_.Find(name);
  if (found == nullptr) return Wrong(name, "is missing");
  return found;
}

absl::Status GoldenFile::Wrong(const std::string& tensor, const std::string& what) const {
  return absl::InvalidArgumentError(absl::StrCat(path(), ": tensor ", tensor, " ", what));
}

}  // namespace carousel::golden
