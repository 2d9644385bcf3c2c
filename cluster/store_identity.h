// Whose store a folder is. A worker that found another cluster's shards, or a coordinator that
// opened a worker's folder, would read nonsense or write over it; both are refused by name.
#pragma once

#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cluster/clock.h"
#include "cluster/store.h"
#include "proto/checkpoint.pb.h"

namespace carousel {

inline constexpr std::string_view kCoordinatorRole = "coordinator";
inline constexpr std::string_view kWorkerRole = "worker";

// The newest form of the records in proto/checkpoint.proto that this build writes; it reads all
// older ones and refuses newer ones.
inline constexpr uint32_t kStoreFormatVersion = 1;

// Nothing if the store is still nobody's.
absl::StatusOr<std::optional<StoreIdentity>> ReadStoreIdentity(const Store& store);

// Claims a fresh store for this cluster and role, durably; checks the claim of a used one. To be
// called before anything else is read or written. kFailedPrecondition if the store is another's,
// was written by a newer build, or holds data without saying whose; the store is left as it was.
absl::Status ClaimStore(Store& store, std::string_view cluster_id, std::string_view role,
                        const Clock& clock = Clock::Real());

}  // namespace carousel
