// The byte tokenizer: text in, the same text out, for any bytes at all.
//
// Ids 0..255 are the bytes; 256 is the document separator. Every document of a token stream is
// closed by one separator, which is part of the stream: a model learns where documents end.
// Nothing is normalised: invalid UTF-8, Windows line ends and NUL bytes are tokens like others.
//
// Pure functions, safe from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace carousel {

struct ByteTokenizer {
  static constexpr std::string_view kName = "byte";
  static constexpr int32_t kSeparator = 256;
  static constexpr int64_t kVocabulary = 257;

  // Writes one id per byte of `text` to `ids`, which has room for text.size().
  static void Encode(std::string_view text, int32_t* ids) {
    for (size_t i = 0; i < text.size(); ++i) ids[i] = static_cast<unsigned char>(text[i]);
  }

  // The bytes behind `count` ids; separators and unknown ids stand for no text.
  static std::string Decode(const int32_t* ids, int64_t count) {
    std::string text;
    for (int64_t i = 0; i < count; ++i) {
      if (TextBytes(ids[i]) == 1) text.push_back(static_cast<char>(ids[i]));
    }
    return text;
  }

  // Bytes of text that the token stands for: what "bits per byte" divides by.
  static constexpr int64_t TextBytes(int32_t id) { return id >= 0 && id < kSeparator ? 1 : 0; }
};

}  // namespace carousel
