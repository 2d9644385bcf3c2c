#include "cluster/job/scalars.h"

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace carousel {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Removes underscores, each of which must stand between two digits.
std::optional<std::string> WithoutUnderscores(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      plain += text[i];
    } else if (i == 0 || i + 1 == text.size() || !IsDigit(text[i - 1]) || !IsDigit(text[i + 1])) {
      return std::nullopt;
    }
  }
  return plain;
}

bool HasLeadingZero(std::string_view digits) {
  return digits.size() > 1 && digits[0] == '0' && IsDigit(digits[1]);
}

int PowerOfSuffix(char c) {
  switch (c) {
    case 'k':
    case 'K':
      return 3;
    case 'M':
      return 6;
    case 'B':
      return 9;
    case 'T':
      return 12;
    default:
      return 0;
  }
}

// An integer of any size, as it was written.
struct Integer {
  bool negative = false;
  std::string digits;  // all of them: a suffix has become zeros
};

std::optional<Integer> ReadInteger(std::string_view text) {
  const auto plain = WithoutUnderscores(text);
  if (!plain) return std::nullopt;
  std::string_view rest = *plain;
  Integer integer;
  integer.negative = !rest.empty() && rest[0] == '-';
  if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) rest.remove_prefix(1);
  int power = rest.empty() ? 0 : PowerOfSuffix(rest.back());
  if (power > 0) rest.remove_suffix(1);
  if (rest.empty() || HasLeadingZero(rest) || !IsDigit(rest.front()) || !IsDigit(rest.back())) {
    return std::nullopt;
  }
  // Digits behind the point use up the suffix's zeros.
  bool behind_point = false;
  for (char c : rest) {
    if (c == '.' && !behind_point && power > 0) {
      behind_point = true;
      continue;
    }
    if (!IsDigit(c)) return std::nullopt;
    if (behind_point && --power < 0) return std::nullopt;
    integer.digits += c;
  }
  integer.digits.append(static_cast<size_t>(power), '0');
  return integer;
}

}  // namespace

bool IsInteger(std::string_view text) { return ReadInteger(text).has_value(); }

std::optional<int64_t> ParseInteger(std::string_view text) {
  const std::optional<Integer> integer = ReadInteger(text);
  if (!integer) return std::nullopt;
  int64_t value = 0;
  for (const char c : integer->digits) {
    const int digit = integer->negative ? -(c - '0') : c - '0';
    if (__builtin_mul_overflow(value, int64_t{10}, &value) ||
        __builtin_add_overflow(value, int64_t{digit}, &value)) {
      return std::nullopt;
    }
  }
  return value;
}

std::optional<double> ParseNumber(std::string_view text) {
  const auto plain = WithoutUnderscores(text);
  if (!plain) return std::nullopt;
  std::string_view rest = *plain;
  if (!rest.empty() && rest[0] == '+') rest.remove_prefix(1);
  const std::string_view digits = !rest.empty() && rest[0] == '-' ? rest.substr(1) : rest;
  // from_chars would also take "inf" and "nan".
  if (digits.empty() || (!IsDigit(digits[0]) && digits[0] != '.') || HasLeadingZero(digits)) {
    return std::nullopt;
  }
  double value = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  if (error != std::errc() || end != rest.data() + rest.size() || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

std::optional<double> ParseDuration(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, double>, 5> kUnits = {
      {{"ms", 1e-3}, {"min", 60}, {"s", 1}, {"h", 3600}, {"d", 86400}}};
  for (const auto& [unit, seconds] : kUnits) {
    if (text.size() > unit.size() && text.ends_with(unit)) {
      const auto number = ParseNumber(text.substr(0, text.size() - unit.size()));
      if (number && std::isfinite(*number * seconds)) return *number * seconds;
      return std::nullopt;
    }
  }
  return ParseNumber(text);
}

std::string NumberText(double value) {
  std::array<char, 32> buffer;
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return std::string(buffer.data(), result.ptr);
}

}  // namespace carousel
