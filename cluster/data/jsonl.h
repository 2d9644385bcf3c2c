// Documents out of JSON Lines: one JSON object per line, the document in one string field of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cluster/data/document_splitter.h"

namespace carousel {

inline constexpr int64_t kMaxJsonLineBytes = int64_t{256} << 20;

// The string behind `field` of the object that is all of `line`; the last one if it occurs twice.
// Fields of nested objects do not count. kInvalidArgument says what is wrong, without the place.
absl::StatusOr<std::string> JsonTextField(std::string_view line, const std::string& field);

// Splits text into lines and gives each line's document to a sink. Lines of white space are
// skipped. A line is held in memory, so it has a limit. Not thread-safe.
class JsonlSplitter {
 public:
  // `origin` names the file in errors, which read "FILE:LINE: …". The sink outlives the splitter.
  JsonlSplitter(std::string origin, std::string field, DocumentSink* sink,
                int64_t max_line_bytes = kMaxJsonLineBytes);

  absl::Status Add(std::string_view text);
  absl::Status Finish();  // the text ends here; the last line needs no line feed

 private:
  absl::Status EndLine();
  absl::Status AtLine(const absl::Status& status) const;

  std::string origin_;
  std::string field_;
  DocumentSink* sink_;
  int64_t max_line_bytes_;
  std::string line_;
  int64_t line_number_ = 1;
};

}  // namespace carousel
