// A worker's id: random, made when its state folder is first used, kept there, so that checkpoints
// can name who holds their shards.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace carousel {

// Reads `folder`/worker-id, or makes it ("w-" and 8 hex digits). Errors name the file.
absl::StatusOr<std::string> WorkerIdOf(const std::string& folder);

}  // namespace carousel
