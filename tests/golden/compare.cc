#include "tests/golden/compare.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "cluster/status_macros.h"

namespace carousel::golden {

absl::Status Comparison::Check(Group group, const std::string& name, const Values& ours,
                               const std::string& label) {
  CAROUSEL_ASSIGN_OR_RETURN(const Tensor truth, file_->Get(name));
  return CheckDerived(group, name, truth.values, ours, label);
}

absl::Status Comparison::CheckDerived(Group group, const std::string& name, const Values& truth,
                                      const Values& ours, const std::string& label) {
  if (truth.size() != ours.size()) {
    return absl::InvalidArgumentError(absl::StrCat(file_->path(), ": tensor ", name, " has ",
                                                   truth.size(), " elements, ours has ",
                                                   ours.size()));
  }
  Entry entry{group, label.empty() ? name : absl::StrCat(name, " ", label)};
  for (size_t j = 0; j < truth.size(); ++j) {
    const double difference = std::fabs(ours[j] - truth[j]);
    // Anything that is not finite is an error without bound, equal or not.
    entry.difference = std::isfinite(difference) ? std::max(entry.difference, difference)
                                                 : std::numeric_limits<double>::infinity();
    entry.magnitude = std::max(entry.magnitude, std::fabs(truth[j]));
    if (std::isinf(entry.difference)) break;
  }
  entries_.push_back(entry);
  compared_.insert(name);
  return absl::OkStatus();
}

std::vector<Comparison::Entry> Comparison::Errors() const {
  double largest = 0;
  for (const Entry& entry : entries_) {
    if (entry.group == Group::kGradient) largest = std::max(largest, entry.magnitude);
  }
  std::vector<Entry> entries = entries_;
  for (Entry& entry : entries) {
    double scale = entry.magnitude;
    if (entry.group == Group::kGradient) scale = std::max(scale, kSmallGradient * largest);
    // Without bound against a truth without bound is no 0 / 0: it fails too.
    const bool comparable = scale > 0 && std::isfinite(entry.difference);
    entry.error = comparable ? entry.difference / scale : entry.difference;
  }
  return entries;
}

std::vector<std::string> Comparison::Forgotten() const {
  std::vector<std::string> names;
  for (const std::string& name : file_->Results()) {
    if (IsTruth(file_->kind(), name) && !compared_.contains(name)) names.push_back(name);
  }
  return names;
}

std::map<Group, GroupResult> Comparison::Judge(const Tolerance& tolerance) const {
  std::map<Group, GroupResult> results;
  for (const Entry& entry : Errors()) {
    GroupResult& result = results[entry.group];
    result.allowed = tolerance.at(entry.group);
    if (result.tensors++ == 0 || entry.error > result.worst) {
      result.worst = entry.error;
      result.where = entry.name;
    }
  }
  return results;
}

}  // namespace carousel::golden
