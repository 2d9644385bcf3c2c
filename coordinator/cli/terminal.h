// What we may do to the stream that we write to. Off a terminal nothing moves and nothing is
// coloured; NO_COLOR (set and not empty) and TERM=dumb are respected.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

namespace carousel {

struct Terminal {
  bool interactive = false;  // lines may be redrawn
  bool color = false;
  bool unicode = false;  // block characters instead of # and -
  int width = 80;

  // As `stream` is now.
  static Terminal Of(FILE* stream);

  std::string Bold(std::string_view text) const;

  // `ratio` of `cells` filled.
  std::string Bar(double ratio, int cells) const;
};

// At most `columns` columns of UTF-8 text without escapes.
std::string Clipped(std::string_view text, int columns);

}  // namespace carousel
