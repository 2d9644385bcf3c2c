#include "coordinator/facts.h"

#include "absl/strings/str_cat.h"
#include "coordinator/state.h"

namespace carousel {
namespace {

ShardRef RefTo(const ShardRecord& record, const Hello& holder) {
  ShardRef ref;
  ref.set_unit(record.unit());
  ref.set_unit_name(record.unit_name());
  ref.set_digest(record.digest());
  ref.set_bytes(record.bytes());
  ref.set_holder(holder.worker());
  return ref;
}

// Writes one kind of message into the event that it means.
class Translation {
 public:
  Translation(const CoordinatorState& state, const Hello& sender)
      : state_(state), sender_(sender) {}

  Fact Of(const Heartbeat& beat) const { return {beat.job(), beat.epoch(), {}}; }

  Fact Of(const Measured& measured) const {
    Fact fact = {measured.job(), measured.epoch(), {}};
    *Begin(fact, fact.event.mutable_costs_measured())->mutable_units() = measured.units();
    return fact;
  }

  Fact Of(const Installed& installed) const {
    Fact fact = {installed.job(), installed.epoch(), {}};
    Begin(fact, fact.event.mutable_stage_installed())->set_stage(Stage(fact));
    return fact;
  }

  Fact Of(const Prepared& prepared) const {
    Fact fact = {prepared.job(), prepared.epoch(), {}};
    StagePrepared* event = Begin(fact, fact.event.mutable_stage_prepared());
    event->set_stage(Stage(fact));
    event->set_step(prepared.step());
    for (const ShardRecord& shard : prepared.shards()) *event->add_shards() = RefTo(shard, sender_);
    if (prepared.has_cursor()) *event->mutable_cursor() = prepared.cursor();
    return fact;
  }

  Fact Of(const Stopped& stopped) const {
    Fact fact = {stopped.job(), stopped.epoch(), {}};
    StageStopped* event = Begin(fact, fact.event.mutable_stage_stopped());
    event->set_stage(Stage(fact));
    event->set_step(stopped.step());
    return fact;
  }

  Fact Of(const StageFailure& failure) const {
    Fact fact = {failure.job(), failure.epoch(), {}};
    if (failure.restore_unreadable() && Restores(fact)) return Damage(fact, failure);
    StageFailed* event = Begin(fact, fact.event.mutable_stage_failed());
    const JobRecord* job = FindJob(state_, fact.job);
    const bool measuring = job != nullptr && !job->measuring_worker().empty();
    event->set_stage(measuring ? -1 : Stage(fact));
    event->set_step(failure.step());
    event->set_reason(
        measuring ? absl::StrCat("worker ", sender_.worker(), " cannot measure: ", failure.reason())
                  : failure.reason());
    event->set_non_finite(failure.non_finite());
    event->set_lost_worker(failure.lost_worker());
    return fact;
  }

 private:
  // Does the job's plan of that epoch start from a checkpoint, and has it not started yet?
  bool Restores(const Fact& fact) const {
    const JobRecord* job = FindJob(state_, fact.job);
    return job != nullptr && job->state() == STARTING && job->epoch() == fact.epoch &&
           job->plan().epoch() == fact.epoch && job->restore_step() >= 0;
  }

  Fact Damage(Fact fact, const StageFailure& failure) const {
    CheckpointDamaged* event = fact.event.mutable_checkpoint_damaged();
    event->set_job(fact.job);
    event->set_step(FindJob(state_, fact.job)->restore_step());
    event->set_reason(absl::StrCat("worker ", sender_.worker(), ": ", failure.reason()));
    return fact;
  }

  template <typename E>
  static E* Begin(const Fact& fact, E* event) {
    event->set_job(fact.job);
    event->set_epoch(fact.epoch);
    return event;
  }

  int Stage(const Fact& fact) const {
    const JobRecord* job = FindJob(state_, fact.job);
    return job == nullptr ? -1 : StageOf(*job, sender_.worker());
  }

  const CoordinatorState& state_;
  const Hello& sender_;
};

}  // namespace

std::optional<Fact> FactOf(const CoordinatorState& state, const Hello& sender,
                           const WorkerMessage& message) {
  const Translation translation(state, sender);
  switch (message.message_case()) {
    case WorkerMessage::kHeartbeat:
      if (message.heartbeat().job().empty()) return std::nullopt;
      return translation.Of(message.heartbeat());
    case WorkerMessage::kMeasured:
      return translation.Of(message.measured());
    case WorkerMessage::kInstalled:
      return translation.Of(message.installed());
    case WorkerMessage::kPrepared:
      return translation.Of(message.prepared());
    case WorkerMessage::kStopped:
      return translation.Of(message.stopped());
    case WorkerMessage::kFailure:
      return translation.Of(message.failure());
    default:
      return std::nullopt;
  }
}

}  // namespace carousel
