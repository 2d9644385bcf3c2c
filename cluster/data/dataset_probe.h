// What a job needs to know of its dataset, for ResolveJob (cluster/job/resolve.h).
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "cluster/job/resolve.h"

namespace carousel {

// A DatasetProbe that opens the folder. Errors as Dataset::OpenFolder.
absl::StatusOr<DatasetFacts> ProbeDataset(const std::string& folder);

}  // namespace carousel
