// How evidence and decisions travel between stages.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "worker/step_decision.h"

namespace carousel {

std::string EncodeEvidence(const StepEvidence& evidence);
absl::StatusOr<StepEvidence> DecodeEvidence(std::string_view record);  // kDataLoss if it is none

// kDataLoss unless the evidence is that of units [0, end_unit), one value for each granule.
absl::Status CheckEvidence(const StepEvidence& evidence, const ModelLayout& layout, int end_unit);

std::string EncodeDecision(const StepDecision& decision);
absl::StatusOr<StepDecision> DecodeDecision(std::string_view record);

}  // namespace carousel
