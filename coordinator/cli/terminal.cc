#include "coordinator/cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace carousel {
namespace {

std::string_view Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool LocaleIsUtf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string_view value = Environment(name);
    if (value.empty()) continue;
    return value.find("UTF-8") != value.npos || value.find("utf8") != value.npos;
  }
  return false;
}

int Width(int fd) {
  winsize size = {};
  if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

}  // namespace

Terminal Terminal::Of(FILE* stream) {
  Terminal terminal;
  const int fd = fileno(stream);
  const std::string_view term = Environment("TERM");
  if (isatty(fd) == 0 || term.empty() || term == "dumb") return terminal;
  terminal.interactive = true;
  terminal.color = Environment("NO_COLOR").empty();
  terminal.unicode = LocaleIsUtf8();
  terminal.width = Width(fd);
  return terminal;
}

std::string Terminal::Bold(std::string_view text) const {
  return color ? "\x1b[1m" + std::string(text) + "\x1b[0m" : std::string(text);
}

std::string Terminal::Bar(double ratio, int cells) const {
  const double share = std::isfinite(ratio) ? std::clamp(ratio, 0.0, 1.0) : 0.0;
  const int filled = static_cast<int>(std::lround(share * cells));
  std::string bar;
  for (int i = 0; i < cells; ++i) {
    if (unicode) {
      bar += i < filled ? "█" : "░";
    } else {
      bar += i < filled ? '#' : '-';
    }
  }
  return bar;
}

std::string Clipped(std::string_view text, int columns) {
  int seen = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool starts_character = (static_cast<unsigned char>(text[i]) & 0xc0) != 0x80;
    if (starts_character && ++seen > columns) return std::string(text.substr(0, i));
  }
  return std::string(text);
}

}  // namespace carousel
