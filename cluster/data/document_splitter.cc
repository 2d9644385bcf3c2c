#include "cluster/data/document_splitter.h"

#include <utility>

#include "cluster/status_macros.h"

namespace carousel {

DocumentSplitter::DocumentSplitter(std::optional<std::string> separator, DocumentSink* sink)
    : separator_(std::move(separator)), sink_(sink) {}

absl::Status DocumentSplitter::AddText(std::string_view text) {
  if (text.empty()) return absl::OkStatus();
  has_text_ = true;
  return sink_->AddText(text);
}

absl::Status DocumentSplitter::EndDocument() {
  if (!has_text_) return absl::OkStatus();
  has_text_ = false;
  return sink_->EndDocument();
}

// One byte of a line that may still turn out to be a separator.
absl::Status DocumentSplitter::MatchByte(char byte) {
  const size_t length = separator_->size();
  const bool complete = line_.size() >= length;  // all of the separator is there
  if (byte == '\n' && complete) {
    line_.clear();
    return EndDocument();
  }
  const bool fits =
      complete ? line_.size() == length && byte == '\r' : byte == (*separator_)[line_.size()];
  line_.push_back(byte);
  if (fits) return absl::OkStatus();
  state_ = byte == '\n' ? LineState::kMatching : LineState::kText;
  return AddText(std::exchange(line_, {}));
}

absl::Status DocumentSplitter::Add(std::string_view text) {
  if (!separator_) return AddText(text);
  while (!text.empty()) {
    if (state_ == LineState::kMatching) {
      CAROUSEL_RETURN_IF_ERROR(MatchByte(text.front()));
      text.remove_prefix(1);
      continue;
    }
    const size_t line_feed = text.find('\n');
    const size_t length = line_feed == std::string_view::npos ? text.size() : line_feed + 1;
    CAROUSEL_RETURN_IF_ERROR(AddText(text.substr(0, length)));
    if (line_feed != std::string_view::npos) state_ = LineState::kMatching;
    text.remove_prefix(length);
  }
  return absl::OkStatus();
}

absl::Status DocumentSplitter::Finish() {
  if (!separator_) return sink_->EndDocument();
  const bool is_separator = line_.size() >= separator_->size();
  if (!is_separator) CAROUSEL_RETURN_IF_ERROR(AddText(line_));
  line_.clear();
  return EndDocument();
}

}  // namespace carousel
