// The comparison of one run of a case with the truth: an error for every tensor, a tolerance for
// every group of tensors, and whether nothing was forgotten.
//
// The error of a tensor is max|ours - truth| / max|truth|; of a gradient at least kSmallGradient of
// the case's largest gradient stands below the line.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tests/golden/golden_file.h"
#include "tests/golden/tolerance.h"

namespace carousel::golden {

// The worst tensor of a group.
struct GroupResult {
  int tensors = 0;
  double worst = 0;
  double allowed = 0;
  std::string where;

  bool passed() const { return worst <= allowed; }
};

// Borrows the file.
class Comparison {
 public:
  explicit Comparison(const GoldenFile* file) : file_(file) {}

  // `ours` against the tensor `name`, both in its layout. `label` tells apart comparisons of one
  // tensor.
  absl::Status Check(Group group, const std::string& name, const Values& ours,
                     const std::string& label = "");

  // Against values that the caller derived from the tensor `name`.
  absl::Status CheckDerived(Group group, const std::string& name, const Values& truth,
                            const Values& ours, const std::string& label = "");

  // Results in the file that should have been compared and were not.
  std::vector<std::string> Forgotten() const;

  // By group, those that have tensors.
  std::map<Group, GroupResult> Judge(const Tolerance& tolerance) const;

  struct Entry {
    Group group;
    std::string name;  // with the label
    double difference = 0;
    double magnitude = 0;
    double error = 0;  // set by Errors()
  };
  // All comparisons with their errors.
  std::vector<Entry> Errors() const;

 private:
  const GoldenFile* const file_;
  std::vector<Entry> entries_;
  std::set<std::string> compared_;
};

}  // namespace carousel::golden
