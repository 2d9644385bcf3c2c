// Text of unknown origin made safe for a terminal.
#pragma once

#include <string>
#include <string_view>

namespace carousel {

// `text` with everything that a terminal could obey, or that is not UTF-8, written as \xNN. Line
// feeds, tabs and printable UTF-8 stay as they are. Pure, safe from any thread.
std::string Printable(std::string_view text);

}  // namespace carousel
