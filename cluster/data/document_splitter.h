// Cuts plain text into documents, in constant memory however long lines and documents are.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace carousel {

// Where documents go, piece by piece. Not thread-safe.
class DocumentSink {
 public:
  virtual ~DocumentSink() = default;
  virtual absl::Status AddText(std::string_view text) = 0;  // more of the open document
  virtual absl::Status EndDocument() = 0;                   // which may be without text
};

// The rule, given `separator`:
//   none      the whole text is one document, even an empty one;
//   a line    every line equal to it ends a document and belongs to none;
//   ""        likewise for empty lines: paragraphs are documents.
// A line ends with "\n" or "\r\n" or with the text. All other bytes are kept as they are, line ends
// included. Nothing between two separators is no document. Not thread-safe.
class DocumentSplitter {
 public:
  // The separator has no line feed in it. The sink outlives the splitter.
  DocumentSplitter(std::optional<std::string> separator, DocumentSink* sink);

  absl::Status Add(std::string_view text);
  absl::Status Finish();  // the text ends here

 private:
  enum class LineState {
    kMatching,  // line_ holds all of this line so far: a beginning of "SEPARATOR\r\n"
    kText,      // the line is text
  };

  absl::Status AddText(std::string_view text);
  absl::Status EndDocument();
  absl::Status MatchByte(char byte);

  std::optional<std::string> separator_;
  DocumentSink* sink_;
  LineState state_ = LineState::kMatching;
  std::string line_;
  bool has_text_ = false;
};

}  // namespace carousel
