// The coordinator without its wires: events in, effects out. It takes what clients and workers say,
// turns it into events, and for each event keeps this order:
//
//   1. Check: may it happen?          refused events leave no trace
//   2. journal: durable (synced)      a checkpoint's event in one batch with its manifest
//   3. Apply: the new state
//   4. effects, in their order        commits, then messages
//   5. Decide, until nothing is left to decide; each decision from 2 on
//
// One thread at a time. It never waits and reads no clock but the one it is given, so a simulation
// drives it with a clock, a store and messages of its own; service.h puts a lock and gRPC around
// it.
//
// Errors of the store are final: nothing may follow from an event that may not be durable. Then
// broken() says why, every call answers with it, and the process has to start anew.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cluster/clock.h"
#include "cluster/lease.h"
#include "cluster/manifest_store.h"
#include "cluster/store.h"
#include "coordinator/facts.h"
#include "coordinator/journal.h"
#include "coordinator/progress.h"
#include "coordinator/state.h"
#include "proto/coordinator.pb.h"
#include "proto/journal.pb.h"

namespace carousel {

// How long a broken edge waits for its cause.
inline constexpr double kSuspicionSeconds = 2;

// Where messages to workers go. Send must not call back into the coordinator and must not block; a
// session that is over swallows them.
class Outbox {
 public:
  virtual ~Outbox() = default;
  virtual void Send(uint64_t session, CoordinatorMessage message) = 0;
  virtual void Close(uint64_t session, std::string_view reason) = 0;
};

struct CoreOptions {
  Store* store = nullptr;  // claimed for `cluster_id`
  std::string cluster_id;
  const Clock* clock = &Clock::Real();
  Outbox* outbox = nullptr;
  LeaseTerms lease;
};

// What a resume may change: nothing that the contract holds.
struct ResumeChanges {
  PipelineSpec pipeline;  // the wishes from now on
  std::string dataset;    // where the dataset lies now, of the job's digest; empty: where it lay
  std::optional<CheckpointSpec> checkpoint;  // the policy from now on, valid; none: as before
};

class CoordinatorCore {
 public:
  // Replays the journal and starts: jobs that ran come up as PAUSED. All that `options` points to
  // outlives the coordinator.
  static absl::StatusOr<std::unique_ptr<CoordinatorCore>> Open(const CoreOptions& options);

  // --- clients; errors as Check gives them. A request id that was answered is answered again. ---

  // The id of the new job. `spec` is resolved and valid.
  absl::StatusOr<std::string> Submit(const std::string& request_id, const JobSpec& spec,
                                     const std::string& contract_hash);
  // Takes note; the job rests (or runs) some events later.
  absl::Status Pause(const std::string& request_id, const std::string& job);
  absl::Status Cancel(const std::string& request_id, const std::string& job);
  absl::Status Resume(const std::string& request_id, const std::string& job,
                      const ResumeChanges& changes);

  // --- workers; `session` is a number never used before, > 0 ---

  // kFailedPrecondition: of another cluster, another build, or of a younger history than ours.
  absl::Status Join(uint64_t session, const Hello& hello);
  void Receive(uint64_t session, const WorkerMessage& message);
  void Lose(uint64_t session, const std::string& reason);

  // Leases and checkpoints by time; to be called a few times a second.
  void Tick();

  // --- reading ---

  const CoordinatorState& state() const { return state_; }
  const absl::Status& broken() const { return broken_; }
  const std::string& cluster_id() const { return options_.cluster_id; }
  absl::StatusOr<Job> View(const std::string& job) const;  // kNotFound as Check gives it
  std::vector<Node> Nodes() const;                         // attached or lost, by id
  const ManifestStore& manifests() const { return manifests_; }
  // Grows with every change of what View or Nodes would show.
  uint64_t version() const { return version_; }

 private:
  static constexpr std::string_view kComponent = "coordinator";  // of the log

  struct Attached {  // volatile side of a worker
    Hello hello;
    uint64_t session = 0;  // 0: lost
    double heard_at = 0;
  };

  explicit CoordinatorCore(const CoreOptions& options);

  absl::Status Handle(Event event);
  absl::Status Record(Event event);  // without Decide
  // A line for each job whose state is another now: what `carousel logs` tells of its life, with
  // the step that it had come to, which a job at rest may have lost.
  void LogChanges(const std::vector<JobState>& before) const;
  // Takes note of what became of a write to the journal, or of any use of the store: an error
  // breaks the core. What is broken then, or OK.
  absl::Status NoteWrite(const absl::Status& status);
  absl::Status BreakOnError(const absl::Status& status, std::string_view what);
  void Carry(const Effects& effects);
  void Carry(const CommitCheckpoint& commit);
  void Carry(const SendToWorker& send);
  void DecideAll();
  bool IsRestorable(const PlanDecided& decided);
  void Strike(Event event);  // of the kind CheckpointDamaged

  void ReceiveReport(const std::string& worker, const StepReport& report);
  void Receive(const std::string& worker, const Fact& fact);
  void Suspect(const std::string& job, const Event& event);
  void FailStage(const std::string& job, uint64_t epoch, const std::string& reason);
  const std::string* WorkerOf(uint64_t session) const;

  const CoreOptions options_;
  std::unique_ptr<Journal> journal_;
  ManifestStore manifests_;
  LeaseTable leases_;
  CoordinatorState state_;
  absl::Status broken_;
  uint64_t version_ = 0;
  std::map<std::string, Attached> workers_;
  std::map<uint64_t, std::string> sessions_;     // worker of each live session
  std::map<std::string, JobProgress> progress_;  // of active jobs
  // By job: a stage says that its edge to a worker broke whose session stands. Its own report, or
  // the end of its session, will say why; only if neither comes, this is all there is to know.
  struct Suspicion {
    Event event;
    double until = 0;
  };
  std::map<std::string, Suspicion> suspicions_;
  std::map<std::string, double> checkpoint_due_;  // by job: when the policy asks next
};

}  // namespace carousel
