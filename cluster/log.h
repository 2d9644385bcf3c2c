// What a process says about itself, one line an event:
//
//   2026-11-24T10:07:12.345Z INFO  coordinator: job lm-7 runs on 3 workers
//
// to stderr and, if wanted, to a file; the last lines stay in memory for `carousel logs`. Control
// characters are escaped, so a line is a line whatever a message holds. Rare events only: figures
// of every step are metrics.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "cluster/clock.h"
#include "cluster/mutex.h"

namespace carousel {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

struct LogLine {
  int64_t sequence = 0;  // from 1, without gaps
  double wall_time = 0;
  LogLevel level = LogLevel::kInfo;
  std::string component;
  std::string message;
};

// Without the newline.
std::string FormatLogLine(const LogLine& line);

inline constexpr size_t kLogLinesKept = 2000;

struct LogOptions {
  LogLevel least = LogLevel::kInfo;  // what lies below is dropped
  bool to_stderr = true;
  std::string file;                     // appended to; empty: none
  size_t kept = kLogLinesKept;          // in memory
  const Clock* clock = &Clock::Real();  // outlives the log
};

// Thread-safe. A line that cannot be written (a full disk) is dropped from the file, not from the
// memory, and never an error of who logged it.
class Log {
 public:
  // An error names the file that cannot be opened.
  static absl::StatusOr<std::unique_ptr<Log>> Open(LogOptions options);
  ~Log();

  void Write(LogLevel level, std::string_view component, std::string_view message);

  // The kept lines with a greater sequence number, oldest first, at most `limit` of them: the
  // newest ones. To follow a log, ask again with the last number seen.
  std::vector<LogLine> Since(int64_t sequence, size_t limit) const;

 private:
  Log(LogOptions options, int file) : options_(std::move(options)), file_(file) {}

  const LogOptions options_;
  const int file_;  // descriptor, -1 if none
  mutable Mutex mutex_;
  int64_t written_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<LogLine> lines_ ABSL_GUARDED_BY(mutex_);
};

// The log of this process: to stderr.
Log& ProcessLog();

inline void LogInfo(std::string_view component, std::string_view message) {
  ProcessLog().Write(LogLevel::kInfo, component, message);
}
inline void LogWarning(std::string_view component, std::string_view message) {
  ProcessLog().Write(LogLevel::kWarning, component, message);
}
inline void LogError(std::string_view component, std::string_view message) {
  ProcessLog().Write(LogLevel::kError, component, message);
}

}  // namespace carousel
