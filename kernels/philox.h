// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): four
// random words as a function of a counter and a key.
#pragma once

#include <cstdint>

namespace carousel::kernels {

struct Philox4x32 {
  uint32_t word[4];
};

// Ten rounds on `counter` under a 64-bit key. Pure.
Philox4x32 Philox(Philox4x32 counter, uint64_t key);

// The words of element `index` of tensor `tensor` under `seed`.
Philox4x32 PhiloxAt(uint64_t seed, int64_t index, uint32_t tensor);

}  // namespace carousel::kernels
