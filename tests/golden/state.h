// The states that blocks carry, in the layouts and under the names of golden files.
#pragma once

#include <map>
#include <string>

#include "absl/status/status.h"
#include "tests/golden/compare.h"
#include "tests/golden/golden_stage.h"

namespace carousel::golden {

// By our names ("C", "n", "m", "h", "c", "conv"), elements in our layout; m without a gradient.
using States = std::map<std::string, Values>;

// What unit `unit` carries into segment `index`, and what comes back for it.
States ReadStates(GoldenStage& golden, int unit, int index);
States ReadStateGradients(GoldenStage& golden, int unit, int index);
void WriteStates(GoldenStage& golden, int unit, int index, const States& states);
void WriteStateGradients(GoldenStage& golden, int unit, int index, const States& gradients);
// All zeros, m = 0 included: how the reference's step function and xlstm_large start.
void WriteZeroStates(GoldenStage& golden, int unit, int index);

// [4, B, D] of y, c, n, m; 0 for a part that is not there.
Values SlstmVector(const States& states);
void SetSlstmVector(const Values& vector, States& states);

// The convolution's rows: [B, 3, D] in files, [3, B, D] here.
Values ConvRowsOfFile(const Values& rows, int64_t batch);
Values FileRowsOfConv(const Values& rows, int64_t batch);

// What a step function's states in a file are compared as.
struct StepStates {
  std::string c, n, m, conv, slstm;  // names of the tensors
};

// Final states of the reference's token-by-token run of an mLSTM or sLSTM block. Its C and n are
// ours divided by sqrt(DQK), which it scales k by instead of q, and its convolution keeps the
// current row too. With `same_start` (m0 = 0) m is compared, else C and n at its m.
absl::Status CheckStepStates(const GoldenFile& file, const States& ours, const StepStates& names,
                             bool same_start, int64_t batch, Comparison& comparison);

}  // namespace carousel::golden
