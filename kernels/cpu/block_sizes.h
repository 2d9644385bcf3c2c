// The sizes of the pieces that CPU operations work in. They stand apart from the code that uses
// them, which is compiled for one instruction set each, so that the job of the invariance test can
// be held to exceed every one of them.
#pragma once

#include <cstdint>

namespace carousel::kernels {

// Blocks of a matrix product; none of them changes a bit. A tile costs some hundred cycles to begin
// and end, and C has to be read and written once a block of k, so a block of k is as long as an A
// block of few panels and two panels of B in the L2 cache allow.
inline constexpr int64_t kBlockK = 1024;
inline constexpr int64_t kBlockColumns = 2048;  // of B, packed by all threads for all

// The tile of C that stays in registers is at most so large, in floats, on any path.
inline constexpr int64_t kMostTileRows = 14;
inline constexpr int64_t kMostTileColumns = 32;

// Lanes of a sum along a row, whatever the vectors of the machine; these are part of the contract
// (kernels/cpu/lanes.h).
inline constexpr int64_t kVirtualLanes = 32;

}  // namespace carousel::kernels
