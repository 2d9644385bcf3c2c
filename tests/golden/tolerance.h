// What is compared and how closely: "Words" and "What is allowed" of README.md as code.
//
//   double  outputs 1e-11, gradients 1e-9 (1e-9 and 1e-7 where the case is extreme); steps from
//           m0 = 0 against a start at -inf 1e-7; trajectories 1e-9
//   float   5 times (gradients 20 times) the largest error of the reference's own float run in the
//           group, from tolerances.json beside the files, and at least 2e-6
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "tests/golden/golden_file.h"

namespace carousel::golden {

enum class Group { kOutput, kStep, kGradient, kWeight };
const char* NameOf(Group group);  // "outputs"

// A gradient whose largest entry is below this part of the case's largest is what is left of larger
// ones that cancelled: it is judged against that.
inline constexpr double kSmallGradient = 1e-4;

using Tolerance = std::map<Group, double>;

// Whether the result `name` of a case is a truth for us. Not so: gradients through the stabiliser m
// (the other convention), the hand-written backward without the normaliser, the k-scaled states of
// the step function, activations inside a block, and scalar sums of outputs.
bool IsTruth(const std::string& kind, const std::string& name);

Tolerance DoubleTolerance(const GoldenFile& file);

// tolerances.json: errors of the reference's own float run, by case and tensor.
class FloatErrors {
 public:
  // `folder` need not have the file: then no case has a tolerance.
  static absl::StatusOr<FloatErrors> Load(const std::string& folder);

  // kNotFound if the file does not know the case.
  absl::StatusOr<Tolerance> For(const GoldenFile& file) const;

 private:
  std::string path_;
  std::map<std::string, Tolerance> errors_;  // largest of each group, by case
};

}  // namespace carousel::golden
