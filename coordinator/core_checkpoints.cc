// Checkpoints: committed by one batch with their event, struck by one when they cannot be restored.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/log.h"
#include "cluster/state_digest.h"
#include "cluster/status_macros.h"
#include "coordinator/core.h"

namespace carousel {
namespace {

// What is prepared must be what ran: every stage has reported the step, and the digests agree.
absl::StatusOr<StepSummary> CheckedSummary(const JobProgress* progress, int64_t step,
                                           const Digest& stored) {
  const auto ran = progress == nullptr ? std::nullopt : progress->At(step);
  if (!ran.has_value()) {
    return absl::DataLossError(
        "what was stored cannot be compared with what ran: the step was not reported by every "
        "stage, or too many steps ago");
  }
  if (ran->state == stored) return ran->summary;
  return absl::DataLossError(absl::StrCat("what was stored (", stored.Hex(), ") is not what ran (",
                                          ran->state.Hex(), ")"));
}

struct Draft {
  Manifest manifest;
  CheckpointRecord record;
};

absl::StatusOr<Draft> DraftOf(const JobRecord& job, const JobProgress* progress,
                              const PreparedStep& prepared, double wall_time) {
  if (!prepared.has_cursor()) return absl::InternalError("no stage sent the data cursor");
  std::vector<Digest> units;
  for (const ShardRef& shard : prepared.shards()) {
    CAROUSEL_ASSIGN_OR_RETURN(units.emplace_back(),
                              DigestFromBytes(shard.digest(), "a shard's digest"));
  }
  const Digest state = StateDigest(units, prepared.step(), prepared.cursor().sequences());
  Draft draft;
  CAROUSEL_ASSIGN_OR_RETURN(*draft.record.mutable_summary(),
                            CheckedSummary(progress, prepared.step(), state));
  Manifest& manifest = draft.manifest;
  manifest.set_job(job.job());
  manifest.set_step(prepared.step());
  manifest.set_epoch(static_cast<int64_t>(job.epoch()));
  manifest.set_contract_hash(job.contract_hash());
  *manifest.mutable_resolved_job() = job.spec();
  *manifest.mutable_units() = prepared.shards();
  *manifest.mutable_cursor() = prepared.cursor();
  manifest.set_state_digest(std::string(state.AsBytes()));
  manifest.set_wall_time(wall_time);
  draft.record.set_step(prepared.step());
  draft.record.set_state_digest(manifest.state_digest());
  *draft.record.mutable_shards() = prepared.shards();
  draft.record.set_committed_at(wall_time);
  return draft;
}

// By the manifest store, of a checkpoint that must not be; anything else is the store's own
// trouble.
bool IsRefusal(const absl::Status& status) {
  return absl::IsInvalidArgument(status) || absl::IsFailedPrecondition(status);
}

}  // namespace

void CoordinatorCore::Carry(const CommitCheckpoint& commit) {
  const JobRecord& job = *FindJob(state_, commit.job);
  const auto refuse = [&](const absl::Status& why) {
    FailStage(commit.job, commit.epoch,
              absl::StrCat("the checkpoint of step ", commit.prepared.step(),
                           " cannot be committed: ", why.message()));
  };
  const auto progress = progress_.find(commit.job);
  absl::StatusOr<Draft> draft =
      DraftOf(job, progress == progress_.end() ? nullptr : &progress->second, commit.prepared,
              options_.clock->WallTime());
  if (!draft.ok()) return refuse(draft.status());
  Event event;
  event.set_wall_time(draft->manifest.wall_time());
  event.mutable_checkpoint_committed()->set_job(commit.job);
  event.mutable_checkpoint_committed()->set_epoch(commit.epoch);
  *event.mutable_checkpoint_committed()->mutable_checkpoint() = std::move(draft->record);
  const int keep = std::max<int>(2, static_cast<int>(job.spec().checkpoint().keep()));
  const absl::Status status =
      manifests_.Commit(std::move(draft->manifest), keep, journal_->Entry(event));
  if (IsRefusal(status)) return refuse(status);
  if (!NoteWrite(status).ok()) return;
  journal_->Wrote();
  if (progress != progress_.end()) progress->second.Committed(commit.prepared.step());
  checkpoint_due_.erase(commit.job);
  LogInfo(kComponent,
          absl::StrCat("job ", commit.job, ": committed step ", commit.prepared.step()));
  Carry(Apply(event, &state_));
}

// The checkpoint that a plan starts from must verify now; if it does not, it is struck, and the
// next decision takes the one before it.
bool CoordinatorCore::IsRestorable(const PlanDecided& decided) {
  const int64_t step = decided.restore_step();
  if (step < 0) return true;
  const std::string& job = decided.plan().job();
  const absl::StatusOr<FoundManifest> found = manifests_.Before(job, step + 1);
  if (found.ok() && found->manifest.step() == step) return true;
  const absl::Status status = found.ok() ? absl::DataLossError(found->warning) : found.status();
  if (!absl::IsDataLoss(status) && !absl::IsNotFound(status)) {
    BreakOnError(status, "a checkpoint cannot be read").IgnoreError();  // leaves broken_ behind
    return false;
  }
  Event event;
  event.mutable_checkpoint_damaged()->set_job(job);
  event.mutable_checkpoint_damaged()->set_step(step);
  event.mutable_checkpoint_damaged()->set_reason(std::string(status.message()));
  Strike(std::move(event));
  return false;
}

void CoordinatorCore::Strike(Event event) {
  const CheckpointDamaged& damaged = event.checkpoint_damaged();
  if (!broken_.ok() || !Check(state_, event).ok()) return;
  event.set_wall_time(options_.clock->WallTime());
  LogError(kComponent, absl::StrCat("job ", damaged.job(), ": the checkpoint of step ",
                                    damaged.step(), " is damaged: ", damaged.reason()));
  const absl::Status status =
      manifests_.Strike(damaged.job(), damaged.step(), journal_->Entry(event));
  if (!NoteWrite(status).ok()) return;
  journal_->Wrote();
  Carry(Apply(event, &state_));
}

}  // namespace carousel
