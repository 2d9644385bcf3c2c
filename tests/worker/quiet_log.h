// A log that keeps its lines in memory and prints nothing.
#pragma once

#include <memory>
#include <string>

#include "cluster/log.h"

namespace carousel {

inline std::unique_ptr<Log> NewQuietLog() {
  return *Log::Open({.least = LogLevel::kDebug, .to_stderr = false});
}

// Its messages, one a line.
inline std::string AllOf(const Log& log) {
  std::string all;
  for (const LogLine& line : log.Since(0, SIZE_MAX)) all += line.message + "\n";
  return all;
}

}  // namespace carousel
