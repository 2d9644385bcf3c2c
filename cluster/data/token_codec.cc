#include "cluster/data/token_codec.h"

#include <bit>
#include <cstring>

#include "cluster/check.h"

namespace carousel {
namespace {

static_assert(std::endian::native == std::endian::little, "the files are read as they lie");

template <class Stored>
Stored NumberAt(const char* stored) {
  Stored number;
  std::memcpy(&number, stored, sizeof(Stored));
  return number;
}

template <class Stored>
void EncodeAs(std::span<const int32_t> tokens, std::string* stored) {
  stored->resize(tokens.size() * sizeof(Stored));
  char* to = stored->data();
  for (const int32_t token : tokens) {
    const auto number = static_cast<Stored>(token);
    CAROUSEL_CHECK(static_cast<int64_t>(number) == token);
    std::memcpy(to, &number, sizeof(Stored));
    to += sizeof(Stored);
  }
}

template <class Stored>
int64_t DecodeAs(const char* stored, int64_t count, int64_t vocabulary, int32_t* tokens) {
  for (int64_t i = 0; i < count; ++i) {
    const auto id = static_cast<int64_t>(NumberAt<Stored>(stored + i * int64_t{sizeof(Stored)}));
    if (id < 0 || id >= vocabulary) return i;
    tokens[i] = static_cast<int32_t>(id);
  }
  return count;
}

}  // namespace

void EncodeTokens(TokenType type, std::span<const int32_t> tokens, std::string* stored) {
  switch (type) {
    case TokenType::kUint8:
      return EncodeAs<uint8_t>(tokens, stored);
    case TokenType::kInt16:
      return EncodeAs<int16_t>(tokens, stored);
    case TokenType::kInt32:
      return EncodeAs<int32_t>(tokens, stored);
    case TokenType::kInt64:
      return EncodeAs<int64_t>(tokens, stored);
    case TokenType::kUint16:
      return EncodeAs<uint16_t>(tokens, stored);
  }
}

int64_t DecodeTokens(TokenType type, const char* stored, int64_t count, int64_t vocabulary,
                     int32_t* tokens) {
  switch (type) {
    case TokenType::kUint8:
      return DecodeAs<uint8_t>(stored, count, vocabulary, tokens);
    case TokenType::kInt16:
      return DecodeAs<int16_t>(stored, count, vocabulary, tokens);
    case TokenType::kInt32:
      return DecodeAs<int32_t>(stored, count, vocabulary, tokens);
    case TokenType::kInt64:
      return DecodeAs<int64_t>(stored, count, vocabulary, tokens);
    case TokenType::kUint16:
      return DecodeAs<uint16_t>(stored, count, vocabulary, tokens);
  }
  return 0;
}

int64_t StoredNumber(TokenType type, const char* stored) {
  switch (type) {
    case TokenType::kUint8:
      return NumberAt<uint8_t>(stored);
    case TokenType::kInt16:
      return NumberAt<int16_t>(stored);
    case TokenType::kInt32:
      return NumberAt<int32_t>(stored);
    case TokenType::kInt64:
      return NumberAt<int64_t>(stored);
    case TokenType::kUint16:
      return NumberAt<uint16_t>(stored);
  }
  return 0;
}

}  // namespace carousel
