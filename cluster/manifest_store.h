// The coordinator's side of a checkpoint: its only commit point. A checkpoint exists because ONE
// synced batch wrote its manifest, the pointer to the newest one and the data cursor; the same
// batch drops the manifests that are not kept any more. Workers' shards of steps without a manifest
// are swept afterwards, never before.
//
// A manifest is stored behind its own digest, and each holds the digest of its predecessor, so
// damage, loss and exchange of any of them are found. If the newest does not verify, the one before
// it is found instead, with a word on what was wrong; a resume from there repeats the lost steps to
// the bit.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cluster/state_digest.h"
#include "cluster/store.h"
#include "proto/checkpoint.pb.h"

namespace carousel {

// A manifest that verified.
struct FoundManifest {
  Manifest manifest;
  Digest digest;        // what its successor holds as previous_digest
  std::string warning;  // what was wrong with newer ones that were passed over; empty if nothing
};

// One stored manifest; not OK: it does not verify, and the message says why.
struct ListedManifest {
  int64_t step = 0;
  absl::StatusOr<FoundManifest> found;
};

// kInvalidArgument naming the field unless the manifest is one of a whole checkpoint: a job's id,
// units 0, 1, 2, … with a digest each, a cursor of its step, and the state digest that follows.
absl::Status CheckManifest(const Manifest& manifest);

// Thread-safe as its store is, which outlives it; one Commit of a job at a time. Errors name the
// store and the job.
class ManifestStore {
 public:
  explicit ManifestStore(Store* store) : store_(store) {}

  // Commits a checkpoint whose shards are all prepared; format_version and previous_digest are
  // filled in here. The `keep` (at least 2) newest manifests that verify stay. `with` joins the
  // batch: the journal's event of this commit.
  //
  // The same step again is welcome with the same state (holders may have changed). Refused with
  // kFailedPrecondition: the same step with another state, a step before the newest that verifies,
  // an older epoch, another contract. kInvalidArgument: as CheckManifest. After any other error,
  // which is the store's, the batch is there as a whole or not at all, and only a read can tell.
  absl::Status Commit(Manifest manifest, int keep, StoreBatch with = {});

  // kNotFound if the job has no checkpoint; kDataLoss if it has manifests and none verifies.
  absl::StatusOr<FoundManifest> Latest(std::string_view job) const;

  // The newest that verifies before `step`: where to go when a shard of `step` is damaged.
  absl::StatusOr<FoundManifest> Before(std::string_view job, int64_t step) const;

  // Removes the checkpoints of `step` and after, which cannot be restored; the one before is the
  // newest then. One batch, which `with` joins. Errors are the store's.
  absl::Status Strike(std::string_view job, int64_t step, StoreBatch with = {});

  // All of a job, ascending; also those that do not verify.
  absl::StatusOr<std::vector<ListedManifest>> List(std::string_view job) const;

  // kDataLoss with everything that is wrong: manifests that do not verify, broken links, a pointer
  // or cursor that does not fit the newest.
  absl::Status VerifyChain(std::string_view job) const;

 private:
  absl::StatusOr<FoundManifest> Newest(std::string_view job, int64_t below) const;
  void PointTo(const Manifest& manifest, const Digest& digest, StoreBatch* batch) const;
  std::string PointerProblem(std::string_view job, const std::vector<ListedManifest>& listed) const;

  Store* const store_;
};

}  // namespace carousel
