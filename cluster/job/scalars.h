// Numbers as people write them in job files, and as we write them back.
//
//   integers   12, -3, 4_096, 500_000, 2k, 16M, 300B, 1T, 1.5k: k, M, B, T are powers of 1000, and
//              the value must be whole
//   numbers    0.1, 3e-4, 1_000.5: finite
//   durations  90, 30s, 10min, 2h, 1d, 250ms: in seconds
//
// No octal, no hexadecimal, no "yes": what YAML 1.1 would read in two ways is refused.
// Pure functions, safe from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace carousel {

std::optional<int64_t> ParseInteger(std::string_view text);  // nothing if 64 bits do not hold it
bool IsInteger(std::string_view text);                       // of any size
std::optional<double> ParseNumber(std::string_view text);
std::optional<double> ParseDuration(std::string_view text);

// The shortest text that ParseNumber reads back as the same bits.
std::string NumberText(double value);

}  // namespace carousel
