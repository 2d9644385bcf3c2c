#include "cluster/data/dataset_manifest.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "cluster/data/file_io.h"
#include "cluster/status_macros.h"

namespace carousel {
namespace {

using Json = nlohmann::json;                 // read: a key is found in logarithmic time
using OrderedJson = nlohmann::ordered_json;  // written

constexpr std::string_view kFormatName = "carousel-dataset";
constexpr int64_t kMaxManifestBytes = int64_t{64} << 20;
constexpr int kMaxDepth = 16;  // of what nests; ours nests three deep
constexpr int64_t kMaxCount = int64_t{1} << 56;
constexpr size_t kMaxTokenizerName = 128;

OrderedJson ToJson(const DatasetFile& file) {
  return {{"bytes", file.bytes}, {"xxh3_128", file.xxh3_128}};
}

OrderedJson ToJson(const DatasetSource& source) {
  return {{"path", source.path},
          {"format", source.format},
          {"bytes", source.content.bytes},
          {"xxh3_128", source.content.xxh3_128},
          {"documents", source.documents}};
}

// Takes fields out of one JSON object; the first that is wrong is kept in `status`.
class FieldReader {
 public:
  FieldReader(const Json& object, std::string where, absl::Status* status)
      : object_(object), where_(std::move(where)), status_(status) {}

  int64_t Int(const char* key, int64_t low, int64_t high) const {
    const Json* value = Find(key);
    if (value == nullptr) return low;
    const bool fits = value->is_number_integer() &&
                      (!value->is_number_unsigned() || value->get<uint64_t>() <= INT64_MAX);
    const int64_t number = fits ? value->get<int64_t>() : 0;
    if (fits && number >= low && number <= high) return number;
    Fail(key,
         absl::StrCat("is ", Shown(*value), ", expected a whole number from ", low, " to ", high));
    return low;
  }

  std::string String(const char* key) const {
    const Json* value = Find(key);
    if (value == nullptr) return {};
    if (value->is_string()) return value->get<std::string>();
    Fail(key, absl::StrCat("is ", Shown(*value), ", expected a string"));
    return {};
  }

  std::string Hash(const char* key) const {
    std::string hash = String(key);
    const bool good =
        hash.size() == 32 && hash.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!good && status_->ok()) {
      Fail(key, absl::StrCat("is \"", hash.substr(0, 40), "\", expected 32 lower-case hex digits"));
    }
    return hash;
  }

  // A nested object; a missing one reads as empty.
  FieldReader Object(const char* key) const {
    static const Json kEmpty = Json::object();
    const Json* value = Find(key);
    if (value != nullptr && !value->is_object()) Fail(key, "expected an object");
    const bool good = value != nullptr && value->is_object();
    return FieldReader(good ? *value : kEmpty, Path(key), status_);
  }

  bool Has(const char* key) const { return object_.contains(key); }

  const Json* Find(const char* key) const {
    const auto it = object_.find(key);
    if (it != object_.end()) return &*it;
    Fail(key, "is missing");
    return nullptr;
  }

  std::string Path(const char* key) const { return where_.empty() ? key : where_ + "." + key; }

  void Fail(const char* key, std::string_view what) const {
    if (!status_->ok()) return;
    *status_ = absl::InvalidArgumentError(absl::StrCat(Path(key), ": ", std::string(what)));
  }

 private:
  static std::string Shown(const Json& value) {
    return value.dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 60);
  }

  const Json& object_;
  std::string where_;
  absl::Status* status_;
};

DatasetFile ReadFileEntry(const FieldReader& fields) {
  return {fields.Int("bytes", 0, kMaxCount), fields.Hash("xxh3_128")};
}

HeldOutRule ReadHeldOut(const FieldReader& fields) {
  HeldOutRule rule;
  rule.block_tokens = fields.Int("block_tokens", 1, kMaxHeldOutBlock);
  rule.every = fields.Int("every", 0, kMaxHeldOutEvery);
  if (rule.every == 1) fields.Fail("every", "is 1, which would leave nothing to train on");
  rule.first = fields.Int("first", 0, rule.every > 0 ? rule.every - 1 : 0);
  return rule;
}

std::vector<DatasetSource> ReadSources(const FieldReader& fields, absl::Status* status) {
  std::vector<DatasetSource> sources;
  const Json* list = fields.Find("sources");
  if (list == nullptr) return sources;
  if (!list->is_array()) {
    fields.Fail("sources", "expected a list");
    return sources;
  }
  for (const Json& entry : *list) {
    const std::string where = absl::StrCat("sources[", sources.size(), "]");
    if (!entry.is_object()) {
      *status = absl::InvalidArgumentError(absl::StrCat(where, ": expected an object"));
      return sources;
    }
    const FieldReader source(entry, where, status);
    sources.push_back({source.String("path"), source.String("format"), ReadFileEntry(source),
                       source.Int("documents", 0, kMaxCount)});
    if (!status->ok()) return sources;
  }
  return sources;
}

std::optional<std::string> ReadSeparatorLine(const FieldReader& fields) {
  const Json* value = fields.Find("document_separator");
  if (value == nullptr || value->is_null()) return std::nullopt;
  return fields.String("document_separator");
}

// Builds before imports wrote no such field; all of theirs were of bytes.
std::optional<int32_t> ReadSeparatorToken(const FieldReader& fields,
                                          const DatasetManifest& manifest) {
  if (!fields.Has("separator_token") && manifest.tokens_are_bytes()) {
    return ByteTokenizer::kSeparator;
  }
  if (!fields.Has("separator_token") || fields.Find("separator_token")->is_null()) {
    return std::nullopt;
  }
  return static_cast<int32_t>(fields.Int("separator_token", 0, manifest.vocabulary - 1));
}

// How deep JSON text nests. What is shown in errors is written out recursively.
int DepthOf(std::string_view json) {
  int depth = 0;
  int deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (c == '"') in_string = !in_string;
    if (in_string && c == '\\') ++i;  // what it escapes ends no string
    if (in_string) continue;
    if (c == '{' || c == '[') deepest = std::max(deepest, ++depth);
    if (c == '}' || c == ']') --depth;
  }
  return deepest;
}

// Another version may well lack the other fields.
absl::Status CheckFormat(const Json& root) {
  absl::Status status;
  const FieldReader fields(root, "", &status);
  if (fields.String("format") != kFormatName) {
    fields.Fail("format", absl::StrCat("expected \"", std::string(kFormatName), "\""));
  }
  fields.Int("format_version", 1, kDatasetFormatVersion);
  return status;
}

absl::StatusOr<DatasetManifest> FromJson(const Json& root) {
  absl::Status status;
  const FieldReader fields(root, "", &status);
  DatasetManifest manifest;
  manifest.tokenizer = fields.String("tokenizer");
  manifest.vocabulary = fields.Int("vocabulary", 1, INT32_MAX);
  manifest.tokens = fields.Int("tokens", 1, kMaxCount);
  manifest.documents = fields.Int("documents", 1, manifest.tokens);
  manifest.empty_documents = fields.Int("empty_documents", 0, kMaxCount);
  const FieldReader files = fields.Object("files");
  manifest.bin = ReadFileEntry(files.Object("tokens.bin"));
  manifest.idx = ReadFileEntry(files.Object("tokens.idx"));
  manifest.separator_token = ReadSeparatorToken(fields, manifest);
  manifest.document_separator = ReadSeparatorLine(fields);
  manifest.text_field = fields.String("text_field");
  manifest.sources = ReadSources(fields, &status);
  manifest.held_out = ReadHeldOut(fields.Object("held_out"));
  CAROUSEL_RETURN_IF_ERROR(status);
  CAROUSEL_RETURN_IF_ERROR(
      CheckTokenizer(manifest.tokenizer, manifest.vocabulary, manifest.separator_token));
  return manifest;
}

}  // namespace

std::string ManifestPath(const std::string& folder) { return folder + "/manifest.json"; }
std::string TokensPrefix(const std::string& folder) { return folder + "/tokens"; }

absl::Status CheckTokenizer(const std::string& name, int64_t vocabulary,
                            std::optional<int64_t> separator) {
  const bool is_name =
      !name.empty() && name.size() <= kMaxTokenizerName &&
      std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 127; });
  if (!is_name) {
    return absl::InvalidArgumentError(
        absl::StrCat("tokenizer: expected a name of 1 to ", kMaxTokenizerName,
                     " printable ASCII characters without blanks, such as gpt2"));
  }
  if (name != ByteTokenizer::kName) return absl::OkStatus();
  if (vocabulary != ByteTokenizer::kVocabulary) {
    return absl::InvalidArgumentError(absl::StrCat("vocabulary: is ", vocabulary,
                                                   ", but that of the tokenizer \"byte\" is ",
                                                   ByteTokenizer::kVocabulary));
  }
  if (separator != ByteTokenizer::kSeparator) {
    return absl::InvalidArgumentError(
        absl::StrCat("separator token: is ", separator ? absl::StrCat(*separator) : "none",
                     ", but that of the tokenizer \"byte\" is ", ByteTokenizer::kSeparator));
  }
  return absl::OkStatus();
}

std::string FormatManifest(const DatasetManifest& manifest) {
  OrderedJson sources = OrderedJson::array();
  for (const DatasetSource& source : manifest.sources) sources.push_back(ToJson(source));
  const HeldOutSplit held_out(manifest.held_out, manifest.tokens, CorpusSide::kHeldOut);
  const auto or_null = [](const auto& value) {
    return value ? OrderedJson(*value) : OrderedJson();
  };
  const OrderedJson root = {
      {"format", kFormatName},
      {"format_version", kDatasetFormatVersion},
      {"tokenizer", manifest.tokenizer},
      {"vocabulary", manifest.vocabulary},
      {"tokens", manifest.tokens},
      {"documents", manifest.documents},
      {"empty_documents", manifest.empty_documents},
      {"files", {{"tokens.bin", ToJson(manifest.bin)}, {"tokens.idx", ToJson(manifest.idx)}}},
      {"separator_token", or_null(manifest.separator_token)},
      {"document_separator", or_null(manifest.document_separator)},
      {"text_field", manifest.text_field},
      {"held_out",
       {{"block_tokens", manifest.held_out.block_tokens},
        {"every", manifest.held_out.every},
        {"first", manifest.held_out.first},
        {"blocks", held_out.run_count()},
        {"tokens", held_out.token_count()}}},
      {"sources", sources},
  };
  // A path need not be UTF-8; what JSON cannot say is shown as U+FFFD.
  return root.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

absl::StatusOr<DatasetManifest> ParseManifest(std::string_view json, std::string_view origin) {
  const std::string name(origin);
  if (DepthOf(json) > kMaxDepth) {
    return absl::DataLossError(absl::StrCat(name, ": is nested more than ", kMaxDepth,
                                            " deep; it is damaged, make the dataset again"));
  }
  const Json root = Json::parse(json.begin(), json.end(), nullptr, /*allow_exceptions=*/false);
  if (!root.is_object()) {
    return absl::DataLossError(
        absl::StrCat(name, ": is not a JSON object; it is damaged, make the dataset again"));
  }
  if (const absl::Status format = CheckFormat(root); !format.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": ", format.message()));
  }
  absl::StatusOr<DatasetManifest> manifest = FromJson(root);
  if (manifest.ok()) return manifest;
  return absl::DataLossError(absl::StrCat(name, ": ", manifest.status().message()));
}

absl::StatusOr<DatasetManifest> ReadManifest(const std::string& folder) {
  std::error_code ignored;
  if (std::filesystem::is_regular_file(folder, ignored)) {
    return absl::NotFoundError(absl::StrCat(folder,
                                            ": is a file, not the folder of a dataset; `carousel "
                                            "data build --to DIR ",
                                            folder, "` makes one of it"));
  }
  const std::string path = ManifestPath(folder);
  absl::StatusOr<std::string> json = ReadSmallFile(path, kMaxManifestBytes);
  if (absl::IsNotFound(json.status())) {
    return absl::NotFoundError(absl::StrCat(folder, ": no dataset there (", path,
                                            " does not exist); `carousel data build` or "
                                            "`carousel data import` makes one"));
  }
  CAROUSEL_RETURN_IF_ERROR(json.status());
  return ParseManifest(*json, path);
}

absl::Status WriteManifest(const std::string& folder, const DatasetManifest& manifest) {
  CAROUSEL_ASSIGN_OR_RETURN(SequentialWriter file, SequentialWriter::Create(ManifestPath(folder)));
  CAROUSEL_RETURN_IF_ERROR(file.Append(FormatManifest(manifest)));
  return file.Finish();
}

}  // namespace carousel
