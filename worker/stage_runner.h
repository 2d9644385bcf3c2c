// StageRunner: one stage of one epoch on this worker, from its installation to its end: state
// restored or initialised, edges to its neighbours, a thread that runs step after step, checkpoints
// beside it.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cluster/data/batch_reader.h"
#include "cluster/lease.h"
#include "cluster/mutex.h"
#include "cluster/shard_store.h"
#include "kernels/backend.h"
#include "proto/coordinator.pb.h"
#include "worker/executor.h"
#include "worker/grpc_transport.h"
#include "worker/job_log.h"
#include "worker/snapshot.h"

namespace carousel {

// What a runner works with; all of it outlives the runner. The functions are thread-safe.
struct RunnerEnvironment {
  kernels::Backend* backend = nullptr;
  ShardStore* shards = nullptr;
  TransportRegistry* transports = nullptr;
  JobLog* log = nullptr;
  LeaseTerms lease;  // how soon a silent neighbour or holder is noticed
  std::function<void(const WorkerMessage&)> send;
  std::function<bool()> cancelled;  // breaks off an installation that reads shards; empty: never
};

// Thread-safe. Its thread ends by itself (after the last step, at a stop, at a failure) or by
// Abandon.
class StageRunner {
 public:
  // Builds the stage, restores it from the manifest or initialises it from the seed, and opens its
  // inbox to its neighbours. Blocks.
  static absl::StatusOr<std::unique_ptr<StageRunner>> Install(const RunnerEnvironment& environment,
                                                              const carousel::Install& install);
  ~StageRunner();  // Abandon, then waits for the thread and the device

  // Runs steps from here on, on a thread of its own: StepReport after each, Prepared after each
  // checkpoint, Stopped or one StageFailure at the end. A checkpoint that cannot be written is such
  // a failure, told at once; a report of the step under way may follow it.
  void Start();

  // The last stage puts this into its next decision. Asking twice is asking once.
  void RequestBoundary(bool checkpoint, bool stop);

  // Breaks off the step under way, so that the thread ends; returns at once (the destructor waits).
  // What was committed stays; what was not is as if it had never been.
  void Abandon(const std::string& reason);

  const std::string& job() const { return install_.plan().job(); }
  uint64_t epoch() const { return install_.plan().epoch(); }
  int64_t step() const { return step_; }

 private:
  StageRunner(const RunnerEnvironment& environment, const carousel::Install& install)
      : env_(environment), install_(install), stream_(environment.backend) {}
  absl::Status Build();
  absl::Status Restore();

  void Run();
  absl::Status RunSteps();
  Executor::Boundary TakeBoundary();
  void Report(const StepDecision& decision, const std::vector<Digest>& digests);
  absl::Status BeginCheckpoint(std::vector<Digest> digests);
  void WriteCheckpoint(const Snapshot& snapshot);
  absl::Status FinishCheckpoint();
  absl::Status CheckpointStatus();
  void Fail(const absl::Status& status);
  void SendFailure(const absl::Status& status);

  bool last_stage() const { return install_.stage() + 1 == install_.plan().stages_size(); }

  const RunnerEnvironment env_;
  const carousel::Install install_;
  ModelLayout layout_;
  std::optional<BatchReader> reader_;
  const kernels::OwnedStream stream_;
  std::unique_ptr<Stage> stage_;
  std::shared_ptr<GrpcTransport> transport_;
  std::unique_ptr<Executor> executor_;
  std::atomic<int64_t> step_{0};  // steps applied

  Mutex mutex_;
  Executor::Boundary boundary_ ABSL_GUARDED_BY(mutex_);
  absl::Status checkpoint_status_ ABSL_GUARDED_BY(mutex_);

  std::atomic<bool> abandoned_{false};
  std::atomic<bool> failed_{false};  // and was told
  std::thread checkpoint_writer_;    // used by the runner's thread only
  std::thread thread_;
};

}  // namespace carousel
