#include "cluster/lease.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace carousel {

LeaseTerms TermsOf(double lease_seconds) {
  return {.heartbeat_every = std::min(1.0, lease_seconds / 8),
          .stop_after = 0.6 * lease_seconds,
          .dead_after = lease_seconds};
}

absl::Status CheckLeaseTerms(const LeaseTerms& terms) {
  if (!(terms.heartbeat_every > 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("heartbeat_every is ", terms.heartbeat_every, " s; it must be above 0"));
  }
  if (!(terms.stop_after >= 2 * terms.heartbeat_every)) {
    return absl::InvalidArgumentError(
        absl::StrCat("stop_after is ", terms.stop_after, " s; it must be at least two heartbeats, ",
                     2 * terms.heartbeat_every, " s, or one lost message stops a worker"));
  }
  if (!(terms.stop_after + terms.heartbeat_every <= 0.9 * terms.dead_after)) {
    return absl::InvalidArgumentError(
        absl::StrCat("stop_after and heartbeat_every are ", terms.stop_after, " s and ",
                     terms.heartbeat_every, " s; their sum must be at most 0.9 * dead_after, ",
                     0.9 * terms.dead_after, " s, so that a worker stops before it is given up"));
  }
  return absl::OkStatus();
}

void LeaseTable::Renew(std::string_view worker, double now) {
  auto [at, is_new] = renewed_at_.try_emplace(std::string(worker), now);
  if (!is_new) at->second = std::max(at->second, now);
}

void LeaseTable::Forget(std::string_view worker) {
  auto at = renewed_at_.find(worker);
  if (at != renewed_at_.end()) renewed_at_.erase(at);
}

std::vector<std::string> LeaseTable::Dead(double now) const {
  std::vector<std::string> dead;
  for (const auto& [worker, renewed_at] : renewed_at_) {
    if (now >= renewed_at + terms_.dead_after) dead.push_back(worker);
  }
  return dead;
}

}  // namespace carousel
