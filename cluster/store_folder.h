// The folder that a store on disk lives in: made private, measured for space, swept of leftovers.
// Plain system calls; errors name the path and, where there is one, the way out.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace carousel {

// Makes `path` with mode 0700 if it is missing, its parents with the usual mode; what was made is
// durable. An existing folder keeps its mode.
absl::Status MakePrivateFolder(const std::string& path);

// Removes everything in `path`, not `path` itself.
absl::Status EmptyFolder(const std::string& path);

// Bytes that this user may still write on the file system of `path` (statvfs).
absl::StatusOr<uint64_t> FreeBytes(const std::string& path);

// kResourceExhausted unless `bytes` are free, with both figures.
absl::Status CheckFree(const std::string& path, uint64_t bytes);

}  // namespace carousel
