// Token ids between memory (int32_t) and a .bin file (integers of a TokenType, indexed_format.h).
//
// Pure functions, safe from any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "cluster/data/indexed_format.h"

namespace carousel {

// Puts `tokens` into `stored`, in place of what was there. Ids must fit the type.
void EncodeTokens(TokenType type, std::span<const int32_t> tokens, std::string* stored);

// tokens[count]: the ids at `stored`, which has count * TokenBytes(type) bytes. Stops at the first
// that is negative or not below `vocabulary`; returns how many came before it.
int64_t DecodeTokens(TokenType type, const char* stored, int64_t count, int64_t vocabulary,
                     int32_t* tokens);

// The number at `stored`, be it an id or not.
int64_t StoredNumber(TokenType type, const char* stored);

}  // namespace carousel
