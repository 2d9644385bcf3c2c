// WorkerHost: the thin shell around the worker's core (worker/core.h). It feeds the core with
// messages and ends of work, one at a time, and carries out the effects.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "cluster/log.h"
#include "cluster/mutex.h"
#include "cluster/shard_store.h"
#include "kernels/backend.h"
#include "proto/coordinator.pb.h"
#include "worker/core.h"
#include "worker/grpc_transport.h"
#include "worker/stage_runner.h"

namespace carousel {

// Thread-safe. Everything it is given outlives it.
class WorkerHost {
 public:
  struct Parts {
    kernels::Backend* backend = nullptr;
    ShardStore* shards = nullptr;
    TransportRegistry* transports = nullptr;
    Log* log = nullptr;
  };
  explicit WorkerHost(const Parts& parts) : p_(parts) {}
  ~WorkerHost();

  // Where messages to the coordinator go from now on; called under no lock of this class. Null:
  // nowhere (no session).
  void SetSender(std::function<void(const WorkerMessage&)> send);

  // A message of the coordinator, or the end of the session.
  void Handle(const WorkerEvent& event);

  // What the stage is doing, for the heartbeat.
  Heartbeat Progress() const;

 private:
  void Perform(const BeginMeasuring& effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Perform(const BeginInstalling& effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Perform(const BeginRunning& effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Perform(const AskBoundary& effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Perform(const LetGo& effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Perform(const SweepShards& effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Perform(const Answer& effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::StatusOr<std::unique_ptr<StageRunner>> InstallStage(const Install& install);
  void Send(const WorkerMessage& message) const;
  // Runs `work` beside the session; there is at most one at a time, and the core ignores the result
  // of one that it let go.
  void StartWork(std::function<void()> work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Parts p_;
  mutable Mutex send_mutex_;
  std::function<void(const WorkerMessage&)> send_ ABSL_GUARDED_BY(send_mutex_);

  mutable Mutex mutex_;
  WorkerState state_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<StageRunner> runner_ ABSL_GUARDED_BY(mutex_);
  std::thread work_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace carousel
