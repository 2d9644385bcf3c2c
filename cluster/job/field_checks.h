// The three questions that every field is asked: is it there, is it too small, is it too large.
// Answers go to a draft's faults with the field's place.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

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

 private:
  JobDraft* const draft_;
};

}  // namespace carousel
