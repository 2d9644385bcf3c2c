#include "tests/golden/tolerance.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace carousel::golden {
namespace {

constexpr double kFloatFloor = 2e-6;
constexpr double kOutputFactor = 5;
constexpr double kGradientFactor = 20;

bool StartsWith(const std::string& text, const std::string& prefix) {
  return text.compare(0, prefix.size(), prefix) == 0;
}

bool IsTrajectory(const std::string& kind) { return StartsWith(kind, "traj"); }

std::vector<std::string> Parts(const std::string& name) { return absl::StrSplit(name, '.'); }

bool IsScalarSum(const std::string& name) {
  return name == "L" || name == "L_h" || name == "L_hs" || name == "L_s";
}

bool IsGradient(const std::string& name) {
  const std::vector<std::string> parts = Parts(name);
  return std::any_of(parts.begin(), parts.end(), [](const std::string& part) {
    return StartsWith(part, "grad") || StartsWith(part, "rawgrad");
  });
}

// Only trajectories have weights among their results.
Group GroupOf(const std::string& name) {
  if (IsGradient(name)) return Group::kGradient;
  const std::string family = Parts(name)[StartsWith(name, "mdetach.") ? 1 : 0];
  const bool weight =
      family == "final" || family == "after2" || family == "adam_m" || family == "adam_v";
  return weight ? Group::kWeight : Group::kOutput;
}

struct Measured {
  Group group;
  double difference, magnitude;
};

// The largest error of each group.
Tolerance LargestErrors(const std::vector<Measured>& tensors) {
  double largest = 0;
  for (const Measured& tensor : tensors) {
    if (tensor.group == Group::kGradient) largest = std::max(largest, tensor.magnitude);
  }
  Tolerance errors;
  for (const Measured& tensor : tensors) {
    double scale = tensor.magnitude;
    if (tensor.group == Group::kGradient) scale = std::max(scale, kSmallGradient * largest);
    if (scale == 0) continue;
    errors[tensor.group] = std::max(errors[tensor.group], tensor.difference / scale);
  }
  return errors;
}

}  // namespace

const char* NameOf(Group group) {
  switch (group) {
    case Group::kOutput:
      return "outputs";
    case Group::kStep:
      return "steps";
    case Group::kGradient:
      return "gradients";
    case Group::kWeight:
      return "weights";
  }
  return "";
}

bool IsTruth(const std::string& kind, const std::string& name) {
  if (IsTrajectory(kind)) return StartsWith(name, "mdetach.");
  const std::vector<std::string> parts = Parts(name);
  if (parts[0] == "custbw" || parts[0] == "xlstep" || parts[0] == "act") return false;
  if (IsScalarSum(name)) return false;
  return !IsGradient(name) || name.find("mdetach") != std::string::npos;
}

Tolerance DoubleTolerance(const GoldenFile& file) {
  if (IsTrajectory(file.kind())) {
    return {{Group::kOutput, 1e-9}, {Group::kGradient, 1e-9}, {Group::kWeight, 1e-9}};
  }
  const bool extreme = file.extreme();
  return {{Group::kOutput, extreme ? 1e-9 : 1e-11},
          {Group::kStep, 1e-7},
          {Group::kGradient, extreme ? 1e-7 : 1e-9}};
}

absl::StatusOr<FloatErrors> FloatErrors::Load(const std::string& folder) {
  FloatErrors errors;
  errors.path_ = folder + "/tolerances.json";
  std::ifstream file(errors.path_);
  if (!file) return errors;
  std::stringstream text;
  text << file.rdbuf();
  const auto json = nlohmann::json::parse(text.str(), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(errors.path_, ": not a JSON object"));
  }
  for (const auto& [name, tensors] : json.items()) {
    std::vector<Measured> measured;
    for (const auto& [tensor, entry] : tensors.items()) {
      if (IsScalarSum(tensor)) continue;
      if (!entry.is_object() || !entry.contains("max_abs") || !entry.contains("max_abs_diff") ||
          !entry["max_abs"].is_number() || !entry["max_abs_diff"].is_number()) {
        return absl::InvalidArgumentError(
            absl::StrCat(errors.path_, ": ", name, ".", tensor, " lacks max_abs or max_abs_diff"));
      }
      measured.push_back(
          {GroupOf(tensor), entry["max_abs_diff"].get<double>(), entry["max_abs"].get<double>()});
    }
    errors.errors_[name] = LargestErrors(measured);
  }
  return errors;
}

absl::StatusOr<Tolerance> FloatErrors::For(const GoldenFile& file) const {
  const auto found = errors_.find(file.name());
  if (found == errors_.end()) {
    return absl::NotFoundError(
        absl::StrCat(path_, " has no entry ", file.name(), ": nothing to judge the float runs by"));
  }
  auto allowed = [&](Group group, double factor) {
    const auto error = found->second.find(group);
    return std::max(kFloatFloor, error == found->second.end() ? 0 : factor * error->second);
  };
  const double outputs = allowed(Group::kOutput, kOutputFactor);
  return Tolerance{{Group::kOutput, outputs},
                   {Group::kStep, std::max(outputs, 1e-7)},
                   {Group::kGradient, allowed(Group::kGradient, kGradientFactor)},
                   {Group::kWeight, allowed(Group::kWeight, kOutputFactor)}};
}

}  // namespace carousel::golden
