#include "cluster/store_identity.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "cluster/keys.h"
#include "cluster/status_macros.h"

namespace carousel {
namespace {

absl::Status Refused(const Store& store, std::string_view why) {
  return absl::FailedPreconditionError(absl::StrCat(store.Name(), ": ", std::string(why),
                                                    "; give another state folder, or move this one "
                                                    "away if it is not needed any more"));
}

absl::Status CheckIdentity(const Store& store, const StoreIdentity& identity,
                           std::string_view cluster_id, std::string_view role) {
  if (identity.format_version() > kStoreFormatVersion) {
    return Refused(store,
                   absl::StrCat("written by a newer build (format ", identity.format_version(),
                                ", this build knows up to ", kStoreFormatVersion, ")"));
  }
  if (identity.role() != role) {
    return Refused(store, absl::StrCat("this is the store of a ", identity.role(), ", not of a ",
                                       std::string(role)));
  }
  if (identity.cluster_id() != cluster_id) {
    return Refused(store, absl::StrCat("this store belongs to cluster ", identity.cluster_id(),
                                       ", not to cluster ", std::string(cluster_id)));
  }
  return absl::OkStatus();
}

absl::Status CheckEmpty(const Store& store) {
  bool empty = true;
  CAROUSEL_RETURN_IF_ERROR(store.Scan("", [&](std::string_view, std::string_view) {
    empty = false;
    return false;
  }));
  if (empty) return absl::OkStatus();
  return Refused(store, "the store holds data but no longer says whose they are");
}

}  // namespace

absl::StatusOr<std::optional<StoreIdentity>> ReadStoreIdentity(const Store& store) {
  absl::StatusOr<std::string> bytes = store.Get(IdentityKey());
  if (absl::IsNotFound(bytes.status())) return std::nullopt;
  if (!bytes.ok()) return bytes.status();
  StoreIdentity identity;
  if (!identity.ParseFromString(*bytes)) {
    return absl::DataLossError(store.Name() +
                               ": the record that says whose store it is is damaged");
  }
  return identity;
}

absl::Status ClaimStore(Store& store, std::string_view cluster_id, std::string_view role,
                        const Clock& clock) {
  CAROUSEL_ASSIGN_OR_RETURN(std::optional<StoreIdentity> identity, ReadStoreIdentity(store));
  if (identity.has_value()) return CheckIdentity(store, *identity, cluster_id, role);
  CAROUSEL_RETURN_IF_ERROR(CheckEmpty(store));
  StoreIdentity claim;
  claim.set_format_version(kStoreFormatVersion);
  claim.set_cluster_id(std::string(cluster_id));
  claim.set_role(std::string(role));
  claim.set_claimed_at(clock.WallTime());
  StoreBatch batch;
  batch.seal = true;
  batch.Put(IdentityKey(), claim.SerializeAsString());
  return store.Commit(batch);
}

}  // namespace carousel
