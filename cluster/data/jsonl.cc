#include "cluster/data/jsonl.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/data/printable.h"
#include "cluster/status_macros.h"

namespace carousel {
namespace {

// Picks one field as the parser passes by; no tree is built.
class FieldPicker : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit FieldPicker(const std::string& field) : field_(field) {}

  bool null() override { return Other("null"); }
  bool boolean(bool) override { return Other("a boolean"); }
  bool number_integer(number_integer_t) override { return Other("a number"); }
  bool number_unsigned(number_unsigned_t) override { return Other("a number"); }
  bool number_float(number_float_t, const string_t&) override { return Other("a number"); }
  bool binary(binary_t&) override { return Other("binary"); }

  bool string(string_t& value) override {
    if (!AtField()) return Other("a string");
    text_ = std::move(value);
    wrong_type_ = nullptr;
    return true;
  }

  bool start_object(size_t) override {
    const bool go_on = depth_ == 0 || Other("an object");
    ++depth_;
    return go_on;
  }
  bool start_array(size_t) override {
    const bool go_on = Other("an array");
    ++depth_;
    return go_on;
  }
  bool end_object() override { return --depth_, true; }
  bool end_array() override { return --depth_, true; }

  bool key(string_t& name) override {
    if (depth_ == 1) at_field_ = name == field_;
    return true;
  }

  bool parse_error(size_t position, const std::string&,
                   const nlohmann::json::exception& error) override {
    const std::string_view what = error.what();
    const size_t reason = what.find(" - ");
    // It quotes the text, whose bytes are anything.
    error_ = absl::StrCat("not valid JSON at byte ", position, ": ",
                          Printable(what.substr(reason == what.npos ? 0 : reason + 3, 120)));
    return false;
  }

  absl::StatusOr<std::string> Result() {
    if (!error_.empty()) return absl::InvalidArgumentError(error_);
    if (wrong_type_ != nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("field \"", field_, "\": is ", wrong_type_, ", expected a string"));
    }
    if (!text_) {
      return absl::InvalidArgumentError(
          absl::StrCat("field \"", field_, "\": is missing; name the field that holds the text"));
    }
    return *std::move(text_);
  }

 private:
  bool AtField() const { return depth_ == 1 && at_field_; }

  // A value that is not the text: in its place, or anywhere else.
  bool Other(const char* what) {
    if (depth_ == 0) {
      error_ = absl::StrCat("is ", what, ", expected a JSON object");
      return false;
    }
    if (AtField()) {
      wrong_type_ = what;
      text_.reset();
    }
    return true;
  }

  const std::string& field_;
  int64_t depth_ = 0;
  bool at_field_ = false;
  std::optional<std::string> text_;
  const char* wrong_type_ = nullptr;
  std::string error_;
};

}  // namespace

absl::StatusOr<std::string> JsonTextField(std::string_view line, const std::string& field) {
  FieldPicker picker(field);
  nlohmann::json::sax_parse(line.begin(), line.end(), &picker);
  return picker.Result();
}

JsonlSplitter::JsonlSplitter(std::string origin, std::string field, DocumentSink* sink,
                             int64_t max_line_bytes)
    : origin_(std::move(origin)),
      field_(std::move(field)),
      sink_(sink),
      max_line_bytes_(max_line_bytes) {}

absl::Status JsonlSplitter::AtLine(const absl::Status& status) const {
  if (status.code() != absl::StatusCode::kInvalidArgument) return status;
  return absl::InvalidArgumentError(
      absl::StrCat(origin_, ":", line_number_, ": ", status.message()));
}

absl::Status JsonlSplitter::Add(std::string_view text) {
  while (!text.empty()) {
    const size_t line_feed = text.find('\n');
    const std::string_view part = text.substr(0, line_feed);
    if (static_cast<int64_t>(line_.size() + part.size()) > max_line_bytes_) {
      return AtLine(absl::InvalidArgumentError(
          absl::StrCat("has more than ", max_line_bytes_,
                       " bytes, the limit of one line; is this JSON Lines?")));
    }
    line_.append(part);
    if (line_feed == std::string_view::npos) break;
    CAROUSEL_RETURN_IF_ERROR(EndLine());
    text.remove_prefix(line_feed + 1);
  }
  return absl::OkStatus();
}

absl::Status JsonlSplitter::Finish() { return EndLine(); }

absl::Status JsonlSplitter::EndLine() {
  if (line_.find_first_not_of(" \t\r") != std::string::npos) {
    absl::StatusOr<std::string> text = JsonTextField(line_, field_);
    if (!text.ok()) return AtLine(text.status());
    if (!text->empty()) CAROUSEL_RETURN_IF_ERROR(sink_->AddText(*text));
    CAROUSEL_RETURN_IF_ERROR(sink_->EndDocument());
  }
  line_.clear();
  ++line_number_;
  return absl::OkStatus();
}

}  // namespace carousel
