#include "kernels/philox.h"

namespace carousel::kernels {

Philox4x32 Philox(Philox4x32 counter, uint64_t key) {
  constexpr uint64_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
  constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
  uint32_t key0 = static_cast<uint32_t>(key), key1 = static_cast<uint32_t>(key >> 32);
  uint32_t* c = counter.word;
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = kMultiplier0 * c[0], product1 = kMultiplier1 * c[2];
    const uint32_t next0 = static_cast<uint32_t>(product1 >> 32) ^ c[1] ^ key0;
    const uint32_t next2 = static_cast<uint32_t>(product0 >> 32) ^ c[3] ^ key1;
    c[1] = static_cast<uint32_t>(product1);
    c[3] = static_cast<uint32_t>(product0);
    c[0] = next0;
    c[2] = next2;
    key0 += kWeyl0;
    key1 += kWeyl1;
  }
  return counter;
}

Philox4x32 PhiloxAt(uint64_t seed, int64_t index, uint32_t tensor) {
  return Philox({{static_cast<uint32_t>(index),
                  static_cast<uint32_t>(static_cast<uint64_t>(index) >> 32), tensor, 0}},
                seed);
}

}  // namespace carousel::kernels
