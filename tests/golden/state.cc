#include "tests/golden/state.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "cluster/check.h"
#include "cluster/status_macros.h"
#include "tests/golden/layout.h"

namespace carousel::golden {
namespace {

constexpr const char* kSlstmParts[] = {"h", "c", "n", "m"};

std::vector<CarriedState> Carried(GoldenStage& golden, int unit, int index) {
  return golden.stage().Carried(unit, /*slot=*/0, index);
}

// The last `rows` of [B, all, D].
Values LastRows(const Values& values, int64_t batch, int64_t all, int64_t rows) {
  const int64_t width = static_cast<int64_t>(values.size()) / (batch * all);
  Values last;
  for (int64_t b = 0; b < batch; ++b) {
    const auto end = values.begin() + (b + 1) * all * width;
    last.insert(last.end(), end - rows * width, end);
  }
  return last;
}

absl::Status CheckMatrixStates(const GoldenFile& file, const States& ours, const StepStates& names,
                               bool same_start, Comparison& comparison) {
  const Group group = same_start ? Group::kOutput : Group::kStep;
  const std::string label = same_start ? "from m0 = 0" : "";
  CAROUSEL_ASSIGN_OR_RETURN(const Shape shape, file.ShapeOf(names.c));  // [B, H, DQK, DHV]
  CAROUSEL_ASSIGN_OR_RETURN(const Tensor m, file.Get(names.m));
  const Values& own_m = ours.at("m");
  if (shape.size() != 4 || m.values.size() != own_m.size()) {
    return absl::InvalidArgumentError(absl::StrCat(file.path(), ": tensors ", names.c, " and ",
                                                   names.m, " are not [B, H, DQK, DHV], [B, H]"));
  }
  const double scale = 1 / std::sqrt(static_cast<double>(shape[2]));
  for (const auto& [part, name] : {std::pair{"C", names.c}, {"n", names.n}}) {
    Values values = ours.at(part);
    const int64_t width = static_cast<int64_t>(values.size() / own_m.size());
    for (size_t j = 0; j < values.size(); ++j) {
      const size_t head = j / width;
      values[j] *= scale * (same_start ? 1 : std::exp(own_m[head] - m.values[head]));
    }
    CAROUSEL_RETURN_IF_ERROR(comparison.Check(group, name, values, label));
  }
  return same_start ? comparison.Check(group, names.m, own_m, label) : absl::OkStatus();
}

}  // namespace

States ReadStates(GoldenStage& golden, int unit, int index) {
  States states;
  for (const CarriedState& state : Carried(golden, unit, index)) {
    states[state.name] = golden.device().Download(state.value);
  }
  return states;
}

States ReadStateGradients(GoldenStage& golden, int unit, int index) {
  States gradients;
  for (const CarriedState& state : Carried(golden, unit, index)) {
    if (state.gradient.empty()) continue;
    gradients[state.name] = golden.device().Download(state.gradient);
  }
  return gradients;
}

void WriteStates(GoldenStage& golden, int unit, int index, const States& states) {
  for (const CarriedState& state : Carried(golden, unit, index)) {
    golden.device().Write(states.at(state.name), state.value);
  }
}

void WriteStateGradients(GoldenStage& golden, int unit, int index, const States& gradients) {
  for (const CarriedState& state : Carried(golden, unit, index)) {
    if (state.gradient.empty()) continue;
    const auto given = gradients.find(state.name);
    golden.device().Write(given == gradients.end() ? Values(state.gradient.size()) : given->second,
                          state.gradient);
  }
}

void WriteZeroStates(GoldenStage& golden, int unit, int index) {
  for (const CarriedState& state : Carried(golden, unit, index)) {
    golden.device().Write(Values(state.value.size()), state.value);
  }
}

Values SlstmVector(const States& states) {
  Values vector;
  for (const char* part : kSlstmParts) {
    const auto values = states.find(part);
    if (values == states.end()) {
      vector.resize(vector.size() + states.at("h").size());
    } else {
      vector.insert(vector.end(), values->second.begin(), values->second.end());
    }
  }
  return vector;
}

void SetSlstmVector(const Values& vector, States& states) {
  const auto size = static_cast<int64_t>(vector.size()) / 4;
  for (int part = 0; part < 4; ++part) {
    states[kSlstmParts[part]] =
        Values(vector.begin() + part * size, vector.begin() + (part + 1) * size);
  }
}

Values ConvRowsOfFile(const Values& rows, int64_t batch) { return TimeMajor(rows, batch, 3); }

Values FileRowsOfConv(const Values& rows, int64_t batch) { return SequenceMajor(rows, batch, 3); }

absl::Status CheckStepStates(const GoldenFile& file, const States& ours, const StepStates& names,
                             bool same_start, int64_t batch, Comparison& comparison) {
  const Group group = same_start ? Group::kOutput : Group::kStep;
  const std::string label = same_start ? "from m0 = 0" : "";
  CAROUSEL_ASSIGN_OR_RETURN(const Tensor conv, file.Get(names.conv));  // [B, 4, D]
  if (conv.shape.size() != 3 || conv.shape[1] != 4) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.path(), ": tensor ", names.conv, " is not [B, 4, D]"));
  }
  CAROUSEL_RETURN_IF_ERROR(comparison.CheckDerived(group, names.conv,
                                                   LastRows(conv.values, batch, 4, 3),
                                                   FileRowsOfConv(ours.at("conv"), batch), label));
  if (ours.contains("C")) return CheckMatrixStates(file, ours, names, same_start, comparison);
  return comparison.Check(group, names.slstm, SlstmVector(ours), label);
}

}  // namespace carousel::golden
