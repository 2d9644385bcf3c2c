#include "cluster/manifest_store.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cluster/keys.h"
#include "cluster/status_macros.h"

namespace carousel {
namespace {

constexpr uint32_t kFormatVersion = 1;
constexpr int kLeastKept = 2;

std::string Describe(const Manifest& manifest) {
  return absl::StrCat("manifest of job ", manifest.job(), " step ", manifest.step());
}

absl::Status Invalid(const Manifest& manifest, const std::string& why) {
  return absl::InvalidArgumentError(absl::StrCat(Describe(manifest), ": ", why));
}

absl::StatusOr<std::vector<Digest>> UnitDigests(const Manifest& manifest) {
  std::vector<Digest> digests;
  for (int i = 0; i < manifest.units_size(); ++i) {
    const ShardRef& unit = manifest.units(i);
    if (unit.unit() != static_cast<uint32_t>(i)) {
      return Invalid(manifest, absl::StrCat("units[", i, "] is unit ", unit.unit(),
                                            "; every unit comes once, in order"));
    }
    absl::StatusOr<Digest> digest = DigestFromBytes(unit.digest(), "");
    if (!digest.ok()) {
      return Invalid(manifest, absl::StrCat("units[", i, "].digest has ", unit.digest().size(),
                                            " bytes instead of ", size_t{Digest::kBytes}));
    }
    digests.push_back(*digest);
  }
  if (digests.empty()) return Invalid(manifest, "it has no units");
  return digests;
}

// A manifest is stored behind the digest of its bytes.
absl::StatusOr<FoundManifest> Unsealed(std::string_view job, int64_t step, std::string_view value) {
  const std::string_view head = value.substr(0, Digest::kBytes);
  const std::string_view bytes = value.substr(head.size());
  FoundManifest found;
  found.digest = DigestOf(bytes);
  if (head != found.digest.AsBytes()) {
    return absl::DataLossError("its bytes do not have the digest that they were stored with");
  }
  if (!found.manifest.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::DataLossError("it cannot be read");
  }
  if (found.manifest.format_version() > kFormatVersion) {
    return absl::FailedPreconditionError(absl::StrCat("it has format ",
                                                      found.manifest.format_version(),
                                                      "; this build reads up to ", kFormatVersion));
  }
  if (found.manifest.job() != job || found.manifest.step() != step) {
    return absl::DataLossError("in its place lies the " + Describe(found.manifest));
  }
  CAROUSEL_RETURN_IF_ERROR(CheckManifest(found.manifest));
  return found;
}

// Why `next` may not follow `newest` of the same job; OK if it may.
absl::Status CheckFollows(const Manifest& newest, const Manifest& next) {
  auto refused = [&](const std::string& why) {
    return absl::FailedPreconditionError(absl::StrCat(Describe(next), ": ", why));
  };
  if (next.contract_hash() != newest.contract_hash()) {
    return refused(absl::StrCat("its contract is not the one of the checkpoint of step ",
                                newest.step(), "; another contract is another job"));
  }
  if (next.epoch() < newest.epoch()) {
    return refused(absl::StrCat("epoch ", next.epoch(), " is over; step ", newest.step(),
                                " was committed in epoch ", newest.epoch()));
  }
  if (next.step() < newest.step()) {
    return refused(absl::StrCat("step ", newest.step(), " is committed already"));
  }
  if (next.step() == newest.step() && next.state_digest() != newest.state_digest()) {
    return refused(
        "this step is committed with another state: the same step gave other bits; look for a "
        "faulty machine");
  }
  return absl::OkStatus();
}

// The one a `next` would follow or replace; nullptr if it would be the first.
const FoundManifest* NewestOf(const std::vector<ListedManifest>& listed) {
  for (auto at = listed.rbegin(); at != listed.rend(); ++at) {
    if (at->found.ok()) return &*at->found;
  }
  return nullptr;
}

std::string Problem(const ListedManifest& listed) {
  return absl::StrCat("the manifest of step ", listed.step, " does not verify (",
                      listed.found.status().message(), ")");
}

// The removals that go with a commit of `step`: what is beyond `keep`, and what did not verify and
// would stand in the way.
void DropOld(std::string_view job, int64_t step, int keep,
             const std::vector<ListedManifest>& listed, StoreBatch& batch) {
  int kept = 1;
  for (auto at = listed.rbegin(); at != listed.rend(); ++at) {
    if (at->step == step) continue;
    if (at->step > step || kept >= keep) {
      batch.Remove(ManifestKey(job, at->step));
    } else if (at->found.ok()) {
      ++kept;
    }
  }
}

}  // namespace

absl::Status CheckManifest(const Manifest& manifest) {
  CAROUSEL_RETURN_IF_ERROR(CheckJobId(manifest.job()));
  if (manifest.step() < 0) return Invalid(manifest, "step must be at least 0");
  if (manifest.cursor().step() != manifest.step()) {
    return Invalid(manifest, absl::StrCat("cursor.step is ", manifest.cursor().step()));
  }
  if (manifest.cursor().sequences() < 0) {
    return Invalid(manifest, absl::StrCat("cursor.sequences is ", manifest.cursor().sequences()));
  }
  CAROUSEL_ASSIGN_OR_RETURN(std::vector<Digest> units, UnitDigests(manifest));
  const Digest state = StateDigest(units, manifest.step(), manifest.cursor().sequences());
  if (manifest.state_digest() == state.AsBytes()) return absl::OkStatus();
  return Invalid(
      manifest, "state_digest is not the one that its units, step and cursor give, " + state.Hex());
}

absl::Status ManifestStore::Commit(Manifest manifest, int keep, StoreBatch with) {
  CAROUSEL_RETURN_IF_ERROR(CheckManifest(manifest));
  if (keep < kLeastKept) {
    return Invalid(manifest, absl::StrCat("checkpoint.keep is ", keep, "; the least is ",
                                          kLeastKept, ", so that a damaged one leaves another"));
  }
  CAROUSEL_ASSIGN_OR_RETURN(std::vector<ListedManifest> listed, List(manifest.job()));
  manifest.set_format_version(kFormatVersion);
  manifest.clear_previous_digest();
  if (const FoundManifest* newest = NewestOf(listed)) {
    CAROUSEL_RETURN_IF_ERROR(CheckFollows(newest->manifest, manifest));
    manifest.set_previous_digest(newest->manifest.step() == manifest.step()
                                     ? newest->manifest.previous_digest()
                                     : std::string(newest->digest.AsBytes()));
  }
  with.seal = true;
  const std::string bytes = manifest.SerializeAsString();
  const Digest digest = DigestOf(bytes);
  with.Put(ManifestKey(manifest.job(), manifest.step()), std::string(digest.AsBytes()) + bytes);
  PointTo(manifest, digest, &with);
  DropOld(manifest.job(), manifest.step(), keep, listed, with);
  return store_->Commit(with);
}

// The pointer to the newest manifest, and the cursor beside it.
void ManifestStore::PointTo(const Manifest& manifest, const Digest& digest,
                            StoreBatch* batch) const {
  LatestCheckpoint latest;
  latest.set_step(manifest.step());
  latest.set_manifest_digest(std::string(digest.AsBytes()));
  batch->Put(LatestKey(manifest.job()), latest.SerializeAsString());
  batch->Put(CursorKey(manifest.job()), manifest.cursor().SerializeAsString());
}

absl::Status ManifestStore::Strike(std::string_view job, int64_t step, StoreBatch with) {
  CAROUSEL_ASSIGN_OR_RETURN(std::vector<ListedManifest> listed, List(job));
  with.seal = true;
  while (!listed.empty() && listed.back().step >= step) {
    with.Remove(ManifestKey(job, listed.back().step));
    listed.pop_back();
  }
  if (const FoundManifest* newest = NewestOf(listed)) {
    PointTo(newest->manifest, newest->digest, &with);
  } else {
    with.Remove(LatestKey(job));
    with.Remove(CursorKey(job));
  }
  return store_->Commit(with);
}

absl::StatusOr<std::vector<ListedManifest>> ManifestStore::List(std::string_view job) const {
  CAROUSEL_RETURN_IF_ERROR(CheckJobId(job));
  std::vector<ListedManifest> listed;
  CAROUSEL_RETURN_IF_ERROR(
      store_->Scan(ManifestPrefix(job), [&](std::string_view key, std::string_view value) {
        const int64_t step = ParseManifestStep(key).value_or(-1);
        listed.push_back({step, Unsealed(job, step, value)});
        return true;
      }));
  return listed;
}

absl::StatusOr<FoundManifest> ManifestStore::Latest(std::string_view job) const {
  return Newest(job, std::numeric_limits<int64_t>::max());
}

absl::StatusOr<FoundManifest> ManifestStore::Before(std::string_view job, int64_t step) const {
  return Newest(job, step);
}

absl::StatusOr<FoundManifest> ManifestStore::Newest(std::string_view job, int64_t below) const {
  CAROUSEL_ASSIGN_OR_RETURN(std::vector<ListedManifest> listed, List(job));
  std::vector<std::string> problems;
  if (below == std::numeric_limits<int64_t>::max()) {
    std::string problem = PointerProblem(job, listed);
    if (!problem.empty()) problems.push_back(problem);
  }
  for (auto at = listed.rbegin(); at != listed.rend(); ++at) {
    if (at->step >= below) continue;
    if (at->found.ok()) {
      FoundManifest found = *at->found;
      if (!problems.empty()) {
        found.warning = absl::StrCat(store_->Name(), ": job ", std::string(job), ": ",
                                     absl::StrJoin(problems, "; "), "; going on from step ",
                                     found.manifest.step());
      }
      return found;
    }
    problems.push_back(Problem(*at));
  }
  const std::string name = absl::StrCat(store_->Name(), ": job ", std::string(job));
  if (problems.empty()) return absl::NotFoundError(name + " has no checkpoint");
  return absl::DataLossError(
      absl::StrCat(name, " has no checkpoint that verifies: ", absl::StrJoin(problems, "; ")));
}

// What is wrong with the pointer to the newest manifest or with the cursor beside it; empty if
// nothing is, or if there never was a checkpoint.
std::string ManifestStore::PointerProblem(std::string_view job,
                                          const std::vector<ListedManifest>& listed) const {
  absl::StatusOr<std::string> bytes = store_->Get(LatestKey(job));
  if (absl::IsNotFound(bytes.status()) && listed.empty()) return "";
  if (!bytes.ok()) {
    return absl::StrCat("the pointer to the newest checkpoint cannot be read (",
                        bytes.status().message(), ")");
  }
  LatestCheckpoint latest;
  if (!latest.ParseFromString(*bytes)) return "the pointer to the newest checkpoint is damaged";
  if (listed.empty() || listed.back().step != latest.step()) {
    return absl::StrCat("the manifest of step ", latest.step(), ", the newest, is gone");
  }
  const ListedManifest& newest = listed.back();
  if (!newest.found.ok()) return "";  // told by who goes through the list
  if (newest.found->digest.AsBytes() != latest.manifest_digest()) {
    return absl::StrCat("the manifest of step ", latest.step(), " is not the one committed last");
  }
  absl::StatusOr<std::string> cursor = store_->Get(CursorKey(job));
  if (!cursor.ok() || *cursor != newest.found->manifest.cursor().SerializeAsString()) {
    return absl::StrCat("the stored data cursor is not the one of step ", latest.step());
  }
  return "";
}

absl::Status ManifestStore::VerifyChain(std::string_view job) const {
  CAROUSEL_ASSIGN_OR_RETURN(std::vector<ListedManifest> listed, List(job));
  std::vector<std::string> problems;
  const ListedManifest* previous = nullptr;
  for (const ListedManifest& at : listed) {
    if (!at.found.ok()) {
      problems.push_back(Problem(at));
    } else if (previous != nullptr && previous->found.ok() &&
               at.found->manifest.previous_digest() != previous->found->digest.AsBytes()) {
      problems.push_back(absl::StrCat("the manifest of step ", at.step,
                                      " does not follow the one of step ", previous->step));
    }
    previous = &at;
  }
  std::string pointer = PointerProblem(job, listed);
  if (!pointer.empty()) problems.push_back(pointer);
  if (problems.empty()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(store_->Name(), ": job ", std::string(job), ": ",
                                          absl::StrJoin(problems, "; ")));
}

}  // namespace carousel
