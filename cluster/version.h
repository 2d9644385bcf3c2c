// The version of this build, for people.
#pragma once

#include <string_view>

namespace carousel {

inline constexpr std::string_view kVersion = "0.1.0";

}  // namespace carousel
