#include "worker/safetensors.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/status_macros.h"

namespace carousel {
namespace {

using Limits = SafetensorsLimits;

constexpr std::string_view kMetadata = "__metadata__";

// Bytes of one element, 0 for a type that is not known.
uint64_t ElementBytes(std::string_view dtype) {
  static constexpr std::pair<std::string_view, uint64_t> kTypes[] = {
      {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E4M3", 1}, {"F8_E5M2", 1},
      {"U16", 2},  {"I16", 2}, {"F16", 2}, {"BF16", 2},    {"U32", 4},
      {"I32", 4},  {"F32", 4}, {"U64", 8}, {"I64", 8},     {"F64", 8},
  };
  for (const auto& [name, bytes] : kTypes) {
    if (name == dtype) return bytes;
  }
  return 0;
}

// Takes the JSON event by event: the grammar is so small that anything unexpected is an error at
// once, duplicate keys and deep nesting included.
class HeaderHandler : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool start_object(std::size_t) override {
    switch (place_) {
      case Place::kStart:
        return Go(Place::kTop);
      case Place::kTensorOrMetadata:
        if (name_ == kMetadata) return Go(Place::kMetadata);
        return Go(Place::kTensor);
      default:
        return Unexpected("an object");
    }
  }

  bool end_object() override {
    switch (place_) {
      case Place::kTop:
        return Go(Place::kEnd);
      case Place::kMetadata:
        return Go(Place::kTop);
      default:
        return EndTensor();
    }
  }

  bool key(std::string& text) override {
    switch (place_) {
      case Place::kTop:
        return Name(text);
      case Place::kMetadata:
        field_ = text;
        if (header_.metadata.contains(text)) return Fail("the key \"", Shown(text), "\" twice");
        return Go(Place::kMetadataValue);
      default:
        return Field(text);
    }
  }

  bool string(std::string& text) override {
    if (place_ == Place::kMetadataValue) {
      header_.metadata[field_] = text;
      return Go(Place::kMetadata);
    }
    if (place_ != Place::kDtype) return Unexpected("a text");
    tensor_.dtype = text;
    return Go(Place::kTensor);
  }

  bool start_array(std::size_t) override {
    if (place_ == Place::kShape) return Go(Place::kShapeItem);
    if (place_ == Place::kOffsets) return Go(Place::kOffsetItem);
    return Unexpected("a list");
  }

  bool end_array() override {
    if (place_ == Place::kOffsetItem && offsets_.size() != 2) {
      return Fail("data_offsets has ", offsets_.size(), " numbers instead of 2");
    }
    return Go(Place::kTensor);
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ == Place::kShapeItem) {
      if (tensor_.shape.size() == Limits::kMaxRank) {
        return Fail("the shape has more than ", Limits::kMaxRank, " extents");
      }
      if (value == 0 || value > std::numeric_limits<int64_t>::max()) {
        return Fail("the shape has an extent of ", value);
      }
      tensor_.shape.push_back(static_cast<int64_t>(value));
      return true;
    }
    if (place_ != Place::kOffsetItem) return Unexpected("a number");
    if (offsets_.size() == 2) return Fail("data_offsets has more than 2 numbers");
    offsets_.push_back(value);
    return true;
  }

  bool number_integer(number_integer_t value) override {
    return Fail("the number ", value, " is negative");
  }
  bool number_float(number_float_t, const std::string& text) override {
    return Fail("the number ", text, " is not a whole one");
  }
  bool boolean(bool) override { return Unexpected("a truth value"); }
  bool null() override { return Unexpected("null"); }
  bool binary(binary_t&) override { return Unexpected("binary data"); }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception&) override {
    return Fail("the header is not JSON at byte ", position);
  }

  const std::string& error() const { return error_; }
  SafetensorsHeader& header() { return header_; }

 private:
  enum class Place {
    kStart,
    kTop,
    kTensorOrMetadata,
    kMetadata,
    kMetadataValue,
    kTensor,
    kDtype,
    kShape,
    kShapeItem,
    kOffsets,
    kOffsetItem,
    kEnd,
  };

  bool Go(Place place) {
    place_ = place;
    return true;
  }

  template <class... Parts>
  bool Fail(const Parts&... parts) {
    if (error_.empty()) error_ = absl::StrCat(parts..., Where());
    return false;
  }
  bool Unexpected(const char* what) { return Fail(what, " where the format has none"); }

  std::string Where() const {
    if (name_.empty()) return "";
    return absl::StrCat(" (in \"", Shown(name_), "\")");
  }
  static std::string Shown(const std::string& text) {
    return text.size() <= 80 ? text : text.substr(0, 80) + "...";
  }

  bool Name(const std::string& text) {
    if (text.empty()) return Fail("a tensor without a name");
    if (text.size() > Limits::kMaxNameBytes) {
      return Fail("a name of ", text.size(), " bytes; the limit is ", Limits::kMaxNameBytes);
    }
    name_ = text;
    const bool again = text == kMetadata ? metadata_seen_ : header_.tensors.contains(text);
    if (again) return Fail("the key \"", Shown(text), "\" twice");
    if (text == kMetadata) metadata_seen_ = true;
    if (header_.tensors.size() == Limits::kMaxTensors) {
      return Fail("more than ", Limits::kMaxTensors, " tensors");
    }
    tensor_ = {};
    offsets_.clear();
    fields_.clear();
    return Go(Place::kTensorOrMetadata);
  }

  bool Field(const std::string& text) {
    if (!fields_.insert(text).second) return Fail("the key \"", Shown(text), "\" twice");
    if (text == "dtype") return Go(Place::kDtype);
    if (text == "shape") return Go(Place::kShape);
    if (text == "data_offsets") return Go(Place::kOffsets);
    return Fail("the key \"", Shown(text), "\", which is none of dtype, shape, data_offsets");
  }

  bool EndTensor() {
    for (const char* field : {"dtype", "shape", "data_offsets"}) {
      if (!fields_.contains(field)) return Fail(field, " is missing");
    }
    tensor_.begin = offsets_[0];
    tensor_.end = offsets_[1];
    header_.tensors[name_] = tensor_;
    name_.clear();
    return Go(Place::kTop);
  }

  Place place_ = Place::kStart;
  SafetensorsHeader header_;
  std::string error_;
  bool metadata_seen_ = false;
  std::string name_;   // of the tensor being read
  std::string field_;  // of the metadata
  SafetensorsTensor tensor_;
  std::vector<uint64_t> offsets_;
  std::set<std::string> fields_;
};

// The tensor's size follows from dtype and shape and is what its offsets span.
absl::Status CheckSize(const std::string& name, const SafetensorsTensor& tensor) {
  uint64_t bytes = ElementBytes(tensor.dtype);
  if (bytes == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("tensor \"", name, "\" has the unknown dtype \"", tensor.dtype, "\""));
  }
  for (int64_t extent : tensor.shape) {
    if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(extent), &bytes)) {
      return absl::InvalidArgumentError(
          absl::StrCat("the shape of tensor \"", name, "\" overflows 64 bits"));
    }
  }
  if (tensor.end < tensor.begin || tensor.end - tensor.begin != bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("tensor \"", name, "\" has data_offsets [", tensor.begin, ", ", tensor.end,
                     "], but its dtype and shape take ", bytes, " bytes"));
  }
  return absl::OkStatus();
}

// In the order of their offsets the tensors lie side by side and fill the data.
absl::Status CheckCover(const SafetensorsHeader& header, uint64_t data_bytes) {
  std::vector<std::pair<uint64_t, const std::string*>> order;
  for (const auto& [name, tensor] : header.tensors) order.push_back({tensor.begin, &name});
  std::sort(order.begin(), order.end());
  uint64_t covered = 0;
  for (const auto& [begin, name] : order) {
    if (begin != covered) {
      return absl::InvalidArgumentError(absl::StrCat("tensor \"", *name, "\" begins at byte ",
                                                     begin, " of the data instead of ", covered,
                                                     ": tensors must lie side by side"));
    }
    covered = header.tensors.at(*name).end;
  }
  if (covered != data_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("the tensors take ", covered,
                                                   " bytes, but the file holds ", data_bytes,
                                                   " bytes of data: it is cut or padded"));
  }
  return absl::OkStatus();
}

absl::Status WithPath(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

absl::Status ReadFully(int descriptor, uint64_t offset, void* destination, uint64_t bytes) {
  auto* to = static_cast<char*>(destination);
  while (bytes > 0) {
    const size_t wish = static_cast<size_t>(std::min<uint64_t>(bytes, uint64_t{1} << 30));
    const ssize_t got = pread(descriptor, to, wish, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::ErrnoToStatus(errno, absl::StrCat("reading at byte ", offset));
    if (got == 0) return absl::DataLossError(absl::StrCat("the file ends at byte ", offset));
    to += got;
    offset += static_cast<uint64_t>(got);
    bytes -= static_cast<uint64_t>(got);
  }
  return absl::OkStatus();
}

// The JSON text of the header.
absl::StatusOr<std::string> ReadHeader(int descriptor, uint64_t file_bytes) {
  if (file_bytes < 8) {
    return absl::InvalidArgumentError(
        absl::StrCat("not a safetensors file: ", file_bytes, " bytes, fewer than its first field"));
  }
  unsigned char field[8];
  CAROUSEL_RETURN_IF_ERROR(ReadFully(descriptor, 0, field, sizeof(field)));
  uint64_t length = 0;
  for (int byte = 7; byte >= 0; --byte) length = length << 8 | field[byte];
  if (length > Limits::kMaxHeaderBytes || length > file_bytes - 8) {
    return absl::InvalidArgumentError(
        absl::StrCat("not a safetensors file: it announces a header of ", length,
                     " bytes; the limit is ", std::min(Limits::kMaxHeaderBytes, file_bytes - 8)));
  }
  std::string json(length, '\0');
  CAROUSEL_RETURN_IF_ERROR(ReadFully(descriptor, 8, json.data(), length));
  return json;
}

}  // namespace

int64_t SafetensorsTensor::elements() const {
  int64_t product = 1;
  for (int64_t extent : shape) product *= extent;
  return product;
}

absl::StatusOr<SafetensorsHeader> ParseSafetensorsHeader(std::string_view json,
                                                         uint64_t data_bytes) {
  if (json.empty() || json.front() != '{') {
    return absl::InvalidArgumentError("not a safetensors file: the header does not start with {");
  }
  HeaderHandler handler;
  if (!nlohmann::json::sax_parse(json.begin(), json.end(), &handler)) {
    return absl::InvalidArgumentError(absl::StrCat("bad safetensors header: ", handler.error()));
  }
  for (const auto& [name, tensor] : handler.header().tensors) {
    CAROUSEL_RETURN_IF_ERROR(CheckSize(name, tensor));
  }
  CAROUSEL_RETURN_IF_ERROR(CheckCover(handler.header(), data_bytes));
  return std::move(handler.header());
}

absl::StatusOr<SafetensorsFile> SafetensorsFile::Open(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return absl::ErrnoToStatus(errno, path);
  SafetensorsFile file;
  file.path_ = path;
  file.descriptor_ = std::shared_ptr<const int>(new int(descriptor), [](const int* opened) {
    close(*opened);
    delete opened;
  });

  struct stat about;
  if (fstat(descriptor, &about) != 0) return absl::ErrnoToStatus(errno, path);
  if (!S_ISREG(about.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": not a regular file"));
  }
  const uint64_t file_bytes = static_cast<uint64_t>(about.st_size);
  absl::StatusOr<std::string> json = ReadHeader(descriptor, file_bytes);
  if (!json.ok()) return WithPath(path, json.status());
  file.data_begin_ = 8 + json->size();
  absl::StatusOr<SafetensorsHeader> header =
      ParseSafetensorsHeader(*json, file_bytes - file.data_begin_);
  if (!header.ok()) return WithPath(path, header.status());
  file.header_ = *std::move(header);
  return file;
}

const SafetensorsTensor* SafetensorsFile::Find(const std::string& name) const {
  const auto found = header_.tensors.find(name);
  return found == header_.tensors.end() ? nullptr : &found->second;
}

absl::Status SafetensorsFile::Read(const SafetensorsTensor& tensor, void* destination) const {
  const absl::Status status =
      ReadFully(*descriptor_, data_begin_ + tensor.begin, destination, tensor.bytes());
  return status.ok() ? status : WithPath(path_, status);
}

}  // namespace carousel
