#include "cluster/data/document_ends.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/status_macros.h"

namespace carousel {

DocumentEnds::DocumentEnds(const DatasetManifest& manifest, std::string path)
    : separator_(manifest.separator_token),
      nowhere_else_(manifest.tokens_are_bytes()),
      path_(std::move(path)),
      previous_(separator_.value_or(0)) {}  // as if a document had ended before the first

absl::Status DocumentEnds::Add(int64_t first, std::span<const int32_t> tokens,
                               const std::vector<int64_t>& starts) {
  if (!separator_) return absl::OkStatus();
  size_t next = 0;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const int64_t position = first + static_cast<int64_t>(i);
    const bool begins = next < starts.size() && starts[next] == position;
    if (begins) ++next;
    CAROUSEL_RETURN_IF_ERROR(Check(position, begins));
    previous_ = tokens[i];
  }
  return absl::OkStatus();
}

absl::Status DocumentEnds::Finish(int64_t count) const {
  return separator_ ? Check(count, /*ends=*/true) : absl::OkStatus();
}

absl::Status DocumentEnds::Check(int64_t position, bool ends) const {
  const bool is_separator = previous_ == *separator_;
  if (ends == is_separator || (!ends && !nowhere_else_)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      path_, ": token ", position - 1,
      ends
          ? absl::StrCat(" ends a document but is ", previous_, ", not the separator ", *separator_)
          : std::string(" is a separator within a document")));
}

}  // namespace carousel
