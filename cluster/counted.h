// Counts as people read them. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace carousel {

std::string Grouped(int64_t count);  // 1,234,567

// "1 document", "2,000 documents": `noun` in the singular, of the kind that takes an s.
std::string Counted(int64_t count, std::string_view noun);

}  // namespace carousel
