// The three questions that every field is asked: is it there, is it too small, is it too large.
// Answers go to a draft's faults with the field's place. And what to say of fields that do not fit
// together: which of them, and what would fit.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/job/resolve.h"

namespace carousel {

// Not thread-safe. Borrows the draft.
class FieldChecks {
 public:
  explicit FieldChecks(JobDraft* draft) : draft_(draft) {}

  // Each returns whether the value can be used by further checks.
  bool Integer(std::string_view path, bool is_set, int64_t value, int64_t least, int64_t most);
  bool Number(std::string_view path, bool is_set, double value, double least, double most);
  // least < value
  bool Above(std::string_view path, bool is_set, double value, double least, double most);

  // A field without a default that was left out. Nothing if it was written, but wrongly: that is
  // reported already.
  void Missing(std::string_view path, std::string_view remedy);

  void Add(std::string_view path, std::string_view problem, std::string_view remedy = {});

  // "6", or "6 (from --steps 6)" if the field did not come from the file.
  std::string Origin(std::string_view path, const std::string& value) const;

  // Which of some fields that do not fit together to blame: the first that came with a flag, else
  // the first that was written, else the first.
  std::string Blamed(std::initializer_list<std::string_view> paths) const;

 private:
  JobDraft* const draft_;
};

// "the nearest that fit are 124 and 128": the next below and the next above `value`, within `least`
// and `most`, for which `fits` holds; "the nearest that fits is 124", or an empty string.
std::string NearestThatFit(int64_t value, int64_t least, int64_t most,
                           const std::function<bool(int64_t)>& fits);
// The same sentence for candidates that are worked out already.
std::string NearestThatFit(const std::vector<std::string>& candidates);

}  // namespace carousel
