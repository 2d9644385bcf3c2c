// Isa: the instruction sets that the CPU's operations are compiled for, their paths. All paths give
// the same bits.
#pragma once

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace carousel::kernels {

enum class Isa { kScalar, kAvx2, kAvx512 };

// "avx512", "avx2", "scalar".
const char* IsaName(Isa isa);

// The paths that this processor has, the slowest (scalar) first. Empty on a processor without AVX2
// and FMA (x86-64-v3), which every path needs.
std::vector<Isa> SupportedIsas();

// The path of that name. kInvalidArgument names the choices; kFailedPrecondition if this processor
// lacks it.
absl::StatusOr<Isa> IsaNamed(std::string_view name);

// The fastest path of this processor, or the one that CAROUSEL_ISA=avx512|avx2|scalar names; errors
// as IsaNamed has them. kFailedPrecondition on a processor that lacks all.
absl::StatusOr<Isa> ChooseIsa();

}  // namespace carousel::kernels
