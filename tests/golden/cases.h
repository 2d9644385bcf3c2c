// The kinds of golden cases. Each runs one file on one device, in its element type, and hands every
// result to the comparison.
//
// An error means that the file is not what its kind promises (a tensor is missing, sizes do not fit
// together); wrong numbers are the comparison's business.
#pragma once

#include "absl/status/status.h"
#include "tests/golden/compare.h"
#include "tests/golden/device.h"
#include "tests/golden/golden_file.h"

namespace carousel::golden {

absl::Status RunMlstmCell(const GoldenFile& file, Device& device, Comparison& comparison);
absl::Status RunSlstmCell(const GoldenFile& file, Device& device, Comparison& comparison);
absl::Status RunBlock(const GoldenFile& file, Device& device, Comparison& comparison);
absl::Status RunLanguageModel(const GoldenFile& file, Device& device, Comparison& comparison);
absl::Status RunTrajectory(const GoldenFile& file, Device& device, Comparison& comparison);

}  // namespace carousel::golden
