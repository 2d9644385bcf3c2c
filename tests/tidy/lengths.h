// Lengths of files and functions, and the ratchet that holds them: what is too long is on a list
// with its length, and the list may only shrink.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/tidy/source_tree.h"

namespace carousel::tidy {

inline constexpr int kLongestFile = 400;
inline constexpr int kLongestFunction = 60;

struct Function {
  std::string name;  // as written: "Core::Handle", "TEST(Suite, Claim)"
  int line = 0;      // of its first line, from 1
  int lines = 0;     // from there to its closing brace
};

// The functions of a file, by its braces. A lambda belongs to the function around it.
std::vector<Function> FunctionsOf(const SourceFile& file);

// "path" or "path:function" -> lines.
using Lengths = std::map<std::string, int>;

// What exceeds the limits.
Lengths TooLong(const std::vector<SourceFile>& files);

// Lines of "lines path" or "lines path:function"; # begins a comment.
Lengths ParseList(std::string_view text);

// Where the tree and the list differ.
std::vector<Finding> CheckRatchet(const Lengths& measured, const Lengths& listed);

}  // namespace carousel::tidy
