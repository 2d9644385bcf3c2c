#include "worker/core.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/lost_peer.h"

namespace carousel {
namespace {

using Effects = std::vector<WorkerEffect>;

bool Holds(const WorkerState& state, const std::string& job, uint64_t epoch) {
  return state.phase != StagePhase::kNone && state.job == job && state.epoch == epoch;
}

void Release(const std::string& reason, WorkerState* state, Effects* effects) {
  if (state->phase == StagePhase::kNone) return;
  state->phase = StagePhase::kNone;
  effects->push_back(LetGo{reason});
}

// Takes on (job, epoch) unless it is older than what was seen; false if so.
bool TakeOn(const std::string& job, uint64_t epoch, StagePhase phase, WorkerState* state,
            Effects* effects) {
  uint64_t& newest = state->newest_epoch[job];
  if (epoch < newest || Holds(*state, job, epoch)) return false;
  newest = epoch;
  Release(absl::StrCat("epoch ", epoch, " of job ", job, " takes its place"), state, effects);
  state->phase = phase;
  state->job = job;
  state->epoch = epoch;
  return true;
}

Effects OnMessage(const CoordinatorMessage& message, WorkerState* state) {
  Effects effects;
  switch (message.message_case()) {
    case CoordinatorMessage::kMeasure:
      if (TakeOn(message.measure().job(), message.measure().epoch(), StagePhase::kMeasuring, state,
                 &effects)) {
        effects.push_back(BeginMeasuring{message.measure()});
      }
      break;
    case CoordinatorMessage::kInstall: {
      const Plan& plan = message.install().plan();
      if (TakeOn(plan.job(), plan.epoch(), StagePhase::kInstalling, state, &effects))
        effects.push_back(BeginInstalling{message.install()});
      break;
    }
    case CoordinatorMessage::kStart:
      if (Holds(*state, message.start().job(), message.start().epoch()) &&
          state->phase == StagePhase::kInstalled) {
        state->phase = StagePhase::kRunning;
        effects.push_back(BeginRunning{});
      }
      break;
    case CoordinatorMessage::kBoundary:
      if (Holds(*state, message.boundary().job(), message.boundary().epoch()) &&
          state->phase == StagePhase::kRunning) {
        effects.push_back(AskBoundary{message.boundary().checkpoint(), message.boundary().stop()});
      }
      break;
    case CoordinatorMessage::kCommitted:
      effects.push_back(SweepShards{message.committed()});
      break;
    case CoordinatorMessage::kDrop: {
      const Drop& drop = message.drop();
      uint64_t& newest = state->newest_epoch[drop.job()];
      if (newest < drop.epoch()) newest = drop.epoch();
      if (state->job == drop.job() && state->epoch <= drop.epoch()) {
        Release(
            absl::StrCat("the coordinator dropped epoch ", drop.epoch(), " of job ", drop.job()),
            state, &effects);
      }
      break;
    }
    default:
      break;  // Welcome is the session's; nothing else is known to this build
  }
  return effects;
}

Effects OnWorkEnded(const WorkEnded& ended, WorkerState* state) {
  Effects effects;
  if (!Holds(*state, ended.job, ended.epoch)) return effects;  // let go meanwhile
  WorkerMessage message;
  if (!ended.status.ok()) {
    StageFailure& failure = *message.mutable_failure();
    failure.set_job(ended.job);
    failure.set_epoch(ended.epoch);
    Explain(ended.status, Plan(), &failure);
    state->phase = StagePhase::kNone;
    effects.push_back(LetGo{failure.reason()});
    effects.push_back(Answer{std::move(message)});
  } else if (state->phase == StagePhase::kMeasuring) {
    state->phase = StagePhase::kNone;  // whoever measured has sent the costs
  } else if (state->phase == StagePhase::kInstalling) {
    state->phase = StagePhase::kInstalled;
    message.mutable_installed()->set_job(ended.job);
    message.mutable_installed()->set_epoch(ended.epoch);
    effects.push_back(Answer{std::move(message)});
  }
  return effects;
}

}  // namespace

Effects ApplyWorkerEvent(const WorkerEvent& event, WorkerState* state) {
  if (const auto* message = std::get_if<CoordinatorMessage>(&event))
    return OnMessage(*message, state);
  if (const auto* ended = std::get_if<WorkEnded>(&event)) return OnWorkEnded(*ended, state);
  Effects effects;
  Release("the coordinator is out of reach", state, &effects);
  return effects;
}

}  // namespace carousel
