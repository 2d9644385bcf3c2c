// A token stream in memory, for tests of what stands on TokenSource.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/data/token_source.h"

namespace carousel {

// Documents are given as lists of tokens, separators included.
class MemorySource : public TokenSource {
 public:
  explicit MemorySource(const std::vector<std::vector<int32_t>>& documents) {
    for (const auto& document : documents) {
      starts_.push_back(static_cast<int64_t>(tokens_.size()));
      tokens_.insert(tokens_.end(), document.begin(), document.end());
    }
  }

  int64_t token_count() const override { return static_cast<int64_t>(tokens_.size()); }
  int64_t document_count() const override { return static_cast<int64_t>(starts_.size()); }

  absl::Status Read(int64_t first, int64_t count, int32_t* tokens) const override {
    std::copy_n(tokens_.begin() + first, count, tokens);
    return absl::OkStatus();
  }

  absl::Status AppendDocumentStarts(int64_t first, int64_t end,
                                    std::vector<int64_t>* starts) const override {
    for (int64_t start : starts_) {
      if (start >= first && start < end) starts->push_back(start);
    }
    return absl::OkStatus();
  }

 private:
  std::vector<int32_t> tokens_;
  std::vector<int64_t> starts_;
};

// Tokens first, first + 1, …: `count` of them.
inline std::vector<int32_t> CountUp(int32_t first, int64_t count) {
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) tokens[i] = first + static_cast<int32_t>(i);
  return tokens;
}

}  // namespace carousel
