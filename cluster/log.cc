#include "cluster/log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <ctime>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace carousel {
namespace {

constexpr size_t kLongestMessage = 8192;

const char* Name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "DEBUG";
    case LogLevel::kInfo:
      return "INFO ";
    case LogLevel::kWarning:
      return "WARN ";
    case LogLevel::kError:
      return "ERROR";
  }
  return "?";
}

std::string Timestamp(double wall_time) {
  const int64_t milliseconds = std::llround(wall_time * 1000);
  const std::time_t seconds = milliseconds / 1000;
  std::tm utc = {};
  gmtime_r(&seconds, &utc);
  return absl::StrFormat("%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900, utc.tm_mon + 1,
                         utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, milliseconds % 1000);
}

// Control characters as \n, \t or \x1b; text in UTF-8 stays as it is.
std::string OneLine(std::string_view text) {
  std::string line;
  for (char c : text.substr(0, kLongestMessage)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      line += "\\n";
    } else if (c == '\t') {
      line += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      absl::StrAppendFormat(&line, "\\x%02x", byte);
    } else {
      line += c;
    }
  }
  if (text.size() > kLongestMessage) {
    absl::StrAppend(&line, "... (", text.size() - kLongestMessage, " more bytes)");
  }
  return line;
}

// One write, so that lines of several processes on one terminal do not mix.
void WriteOut(int descriptor, const std::string& line) {
  [[maybe_unused]] ssize_t written = ::write(descriptor, line.data(), line.size());
}

}  // namespace

std::string FormatLogLine(const LogLine& line) {
  return absl::StrCat(Timestamp(line.wall_time), " ", Name(line.level), " ", line.component, ": ",
                      line.message);
}

absl::StatusOr<std::unique_ptr<Log>> Log::Open(LogOptions options) {
  int file = -1;
  if (!options.file.empty()) {
    file = ::open(options.file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file < 0) {
      return absl::ErrnoToStatus(errno, "cannot open the log file " + options.file);
    }
  }
  return std::unique_ptr<Log>(new Log(std::move(options), file));
}

Log::~Log() {
  if (file_ >= 0) ::close(file_);
}

void Log::Write(LogLevel level, std::string_view component, std::string_view message) {
  if (level < options_.least) return;
  LogLine line{0, options_.clock->WallTime(), level, OneLine(component), OneLine(message)};
  MutexLock lock(&mutex_);
  line.sequence = ++written_;
  const std::string text = FormatLogLine(line) + "\n";
  lines_.push_back(std::move(line));
  if (lines_.size() > options_.kept) lines_.pop_front();
  if (options_.to_stderr) WriteOut(STDERR_FILENO, text);
  if (file_ >= 0) WriteOut(file_, text);
}

std::vector<LogLine> Log::Since(int64_t sequence, size_t limit) const {
  MutexLock lock(&mutex_);
  auto first = lines_.begin();
  while (first != lines_.end() && first->sequence <= sequence) ++first;
  const size_t found = lines_.end() - first;
  if (found > limit) first += found - limit;
  return {first, lines_.end()};
}

Log& ProcessLog() {
  static Log& log = *Log::Open({})->release();  // lives as long as the process
  return log;
}

}  // namespace carousel
