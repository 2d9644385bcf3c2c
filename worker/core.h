// The worker's side of the session as a pure state machine: what a message of the coordinator, or
// the end of something that was begun, means for the one stage that this worker may hold. No clock,
// no I/O: effects come back, in the order in which they happen.
//
// A worker holds at most one stage, of one epoch. An older epoch never wins: messages of epochs
// below the newest that was seen for a job are dropped, except Drop, which is always safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "proto/coordinator.pb.h"

namespace carousel {

enum class StagePhase { kNone, kMeasuring, kInstalling, kInstalled, kRunning };

struct WorkerState {
  StagePhase phase = StagePhase::kNone;
  std::string job;  // of the stage, unless kNone
  uint64_t epoch = 0;
  std::map<std::string, uint64_t> newest_epoch;  // by job
};

// --- what happens ---
struct SessionLost {};  // the coordinator is out of reach
struct WorkEnded {      // measuring or installing ended
  std::string job;
  uint64_t epoch = 0;
  absl::Status status;
};
using WorkerEvent = std::variant<CoordinatorMessage, SessionLost, WorkEnded>;

// --- what to do about it ---
struct BeginMeasuring {
  Measure measure;
};
struct BeginInstalling {  // persist the epoch, then build; answer with WorkEnded
  Install install;
};
struct BeginRunning {};
struct AskBoundary {
  bool checkpoint = false, stop = false;
};
struct LetGo {  // abandon the stage, or the result of what was begun
  std::string reason;
};
struct SweepShards {
  Committed committed;
};
struct Answer {
  WorkerMessage message;
};
using WorkerEffect = std::variant<BeginMeasuring, BeginInstalling, BeginRunning, AskBoundary, LetGo,
                                  SweepShards, Answer>;

std::vector<WorkerEffect> ApplyWorkerEvent(const WorkerEvent& event, WorkerState* state);

}  // namespace carousel
