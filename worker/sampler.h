// SampleToken: the next token from logits.
#pragma once

#include <cstdint>
#include <vector>

namespace carousel {

// Temperature 0: the most likely token (the first of equals). Else a token with probability
// softmax(z / temperature)[token], z = cap * tanh(logit / cap) (cap 0: the logit), chosen by a
// number that is a function of (seed, index). Pure.
int32_t SampleToken(const std::vector<float>& logits, double cap, double temperature, int64_t seed,
                    int64_t index);

}  // namespace carousel
