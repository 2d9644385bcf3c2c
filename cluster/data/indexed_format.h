// The Megatron-LM indexed dataset: PREFIX.bin holds tokens back to back, PREFIX.idx says where
// sequences and documents lie. All numbers are little-endian.
//
//   .idx  offset          size  content
//         0               9     "MMIDIDX\0\0"
//         9               8     version, 1
//         17              1     token type (TokenType)
//         18              8     n, number of sequences
//         26              8     m, number of document indices = documents + 1
//         34              4n    tokens of each sequence, i32
//         34 + 4n         8n    byte offset of each sequence in the .bin, i64
//         34 + 12n        8m    first sequence of each document, i64, then n; begins with 0
//         34 + 12n + 8m   n     optional: a mode per sequence, i8; not used here
//
// What we write has one sequence per document, except for documents of more than 2^31 - 1 tokens,
// which are several. Downsides of the format: the index costs 20 bytes per document, nothing in it
// is checksummed (the manifest beside it is our answer), and the vocabulary is not recorded.
#pragma once

#include <cstdint>
#include <string_view>

namespace carousel {

inline constexpr std::string_view kIndexMagic{"MMIDIDX\0\0", 9};
inline constexpr uint64_t kIndexVersion = 1;
inline constexpr int64_t kIndexHeaderBytes = 34;
inline constexpr int64_t kMaxSequenceTokens = INT32_MAX;

// Part of the format on disk: the values never change.
enum class TokenType : uint8_t {
  kUint8 = 1,
  kInt16 = 3,
  kInt32 = 4,
  kInt64 = 5,
  kUint16 = 8,
};

// 0 for a code that is not a TokenType: int8 (2) and the floating types (6, 7) hold no token ids.
constexpr int64_t TokenBytes(TokenType type) {
  switch (type) {
    case TokenType::kUint8:
      return 1;
    case TokenType::kInt16:
    case TokenType::kUint16:
      return 2;
    case TokenType::kInt32:
      return 4;
    case TokenType::kInt64:
      return 8;
  }
  return 0;
}

// The type that Megatron-LM writes for a vocabulary of this size.
constexpr TokenType TokenTypeFor(int64_t vocabulary) {
  return vocabulary < 65500 ? TokenType::kUint16 : TokenType::kInt32;
}

}  // namespace carousel
