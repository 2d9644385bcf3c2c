// Who may include whom: proto <- cluster <- {coordinator, worker}; kernels <- worker; and which
// files may know a library.
#pragma once

#include <string_view>
#include <vector>

#include "tests/tidy/source_tree.h"

namespace carousel::tidy {

// Includes of a C++ file, imports of a .proto.
std::vector<Finding> CheckIncludes(const SourceFile& file);

// The patterns of files that may know a library which others may not.
std::vector<std::string_view> OwnersOfIncludes();

}  // namespace carousel::tidy
