// WorkerHost: the thin shell around the worker's core (worker/core.h). It feeds the core with
// messages and ends of work, one at a time, and carries out the effects.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "cluster/lease.h"
#include "cluster/log.h"
#include "cluster/mutex.h"
#include "cluster/shard_store.h"
#include "kernels/backend.h"
#include "proto/coordinator.pb.h"
#include "worker/core.h"
#include "worker/grpc_transport.h"
#include "worker/job_log.h"
#include "worker/stage_runner.h"
#include "worker/work_queue.h"

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
  explicit WorkerHost(const Parts& parts) : parts_(parts), log_(parts.log) {}
  ~WorkerHost();

  // Where messages to the coordinator go from now on, and on what terms it is in contact. Null:
  // nowhere (no session).
  void SetSession(std::function<void(const WorkerMessage&)> send, const LeaseTerms& lease = {});

  // A message of the coordinator, or the end of the session.
  void Handle(const WorkerEvent& event);

  // What the stage is doing, for the heartbeat; waits for no work.
  Heartbeat Progress() const;

  // What this worker has said about its jobs since the last call, for the coordinator.
  std::vector<WorkerLog> TakeLog() { return log_.Take(); }

 private:
  void Perform(const BeginMeasuring& effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Perform(const BeginInstalling& effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Perform(const BeginRunning& effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Perform(const AskBoundary& effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Perform(const LetGo& effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Perform(const SweepShards& effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Perform(const Answer& effect) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  using Flag = std::shared_ptr<std::atomic<bool>>;
  Flag NewFlag() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Measure(const carousel::Measure& measure, const Flag& let_go);
  void InstallStage(const Install& install, const Flag& let_go);
  absl::StatusOr<std::unique_ptr<StageRunner>> BuildRunner(const Install& install,
                                                           const Flag& let_go);
  void Sweep(const Committed& committed);
  void Send(const WorkerMessage& message) const;

  const Parts parts_;
  JobLog log_;
  mutable Mutex send_mutex_;
  std::function<void(const WorkerMessage&)> send_ ABSL_GUARDED_BY(send_mutex_);
  LeaseTerms lease_ ABSL_GUARDED_BY(send_mutex_);

  mutable Mutex mutex_;  // of what the stage is; no store and no device under it
  WorkerState state_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<StageRunner> runner_ ABSL_GUARDED_BY(mutex_);
  Flag let_go_ ABSL_GUARDED_BY(mutex_);  // breaks off the newest measurement or installation
  // Beside the session; the core ignores the result of work that it let go. The last member, so
  // that the others are there until its thread has ended.
  WorkQueue work_;
};

}  // namespace carousel
