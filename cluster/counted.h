// A number with its noun, for messages: "1 document", "2 documents". Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace carousel {

// `noun` in the singular, of the kind that takes an s.
inline std::string Counted(int64_t count, std::string_view noun) {
  return std::to_string(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

}  // namespace carousel
