#include "cluster/flag_checks.h"

#include <functional>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cluster/job/job_limits.h"
#include "cluster/job/overrides.h"
#include "cluster/job/scalars.h"

namespace carousel {
namespace {

constexpr double kYear = 365 * 86400.0;

using Accepts = std::function<bool(const std::string&)>;

// `range` follows `kind` in the message, and stands in --help.
CLI::Validator Limit(const std::string& kind, const std::string& range, const Accepts& accepts) {
  return CLI::Validator(
      [=](std::string& text) {
        return accepts(text) ? "" : absl::StrCat("\"", text, "\" is not a ", kind, " ", range);
      },
      range);
}

bool IsDecimal(const std::string& text) {
  const std::string digits = text.substr(text.starts_with('-') ? 1 : 0);
  return !digits.empty() && digits.find_first_not_of("0123456789") == std::string::npos &&
         (digits.size() == 1 || digits[0] != '0');
}

}  // namespace

CLI::Validator WholeNumber(int64_t least, int64_t most) {
  return Limit(
      "whole number", absl::StrCat("from ", least, " to ", most), [=](const std::string& text) {
        int64_t value = 0;
        return IsDecimal(text) && absl::SimpleAtoi(text, &value) && value >= least && value <= most;
      });
}

CLI::Validator Number(double least, double most) {
  return Limit("number", absl::StrCat("from ", least, " to ", most), [=](const std::string& text) {
    double value = 0;
    return absl::SimpleAtod(text, &value) && value >= least && value <= most;
  });
}

CLI::Validator Seconds() {
  return Limit("number of seconds", absl::StrCat("above 0 and up to ", static_cast<int64_t>(kYear)),
               [](const std::string& text) {
                 double value = 0;
                 return absl::SimpleAtod(text, &value) && value > 0 && value <= kYear;
               });
}

CLI::Validator Steps() {
  return Limit("whole number", absl::StrCat("from 1 to ", kMaxSteps), [](const std::string& text) {
    const std::optional<int64_t> value = ParseInteger(text);
    return value.has_value() && *value >= 1 && *value <= kMaxSteps;
  });
}

CLI::Validator Assignment(const std::string& allowed) {
  return CLI::Validator(
      [allowed](const std::string& text) {
        const absl::StatusOr<Override> parsed = ParseOverride(text);
        if (!parsed.ok()) return std::string(parsed.status().message());
        if (parsed->path.starts_with(allowed)) return std::string();
        return absl::StrCat("\"", parsed->path, "\" cannot be changed here, only ", allowed,
                            "*; what fixes the result stays as it is");
      },
      "", "assignment");
}

}  // namespace carousel
