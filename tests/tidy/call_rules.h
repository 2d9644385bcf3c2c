// Calls and words that do not belong in this repository, each with what to use instead.
#pragma once

#include <string_view>
#include <vector>

#include "tests/tidy/source_tree.h"

namespace carousel::tidy {

// In the code of a C++ file; comments and literals do not count.
std::vector<Finding> CheckCalls(const SourceFile& file);

// The patterns of files that may do what others may not.
std::vector<std::string_view> ExemptFromCallRules();

// In any text file: notes to oneself, paths of one machine.
std::vector<Finding> CheckWords(const SourceFile& file);

// A header begins with what it is, and is included once.
std::vector<Finding> CheckHeader(const SourceFile& file);

}  // namespace carousel::tidy
