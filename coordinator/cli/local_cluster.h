// A coordinator and workers on loopback, run out of a state folder by this process: what
// `carousel local` is made of, and what serves a folder to verbs that only look.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/cli/child_process.h"
#include "coordinator/cli/client.h"
#include "coordinator/cli/interrupts.h"
#include "coordinator/cli/state_folder.h"

namespace carousel {

struct WorkerOptions {
  int workers = 1;
  int threads = 1;
  std::string backend = "cpu";
};

// One thread. Errors carry the last words of the process that failed.
class LocalCluster {
 public:
  // Starts the coordinator and connects to it. No worker yet, so nothing runs: a job that still
  // stands in the queue can be looked at before it starts.
  static absl::StatusOr<std::unique_ptr<LocalCluster>> Start(std::unique_ptr<StateFolder> folder,
                                                             const Abandoned& abandoned);
  ~LocalCluster();  // Stop

  const Client& client() const { return *client_; }
  const StateFolder& folder() const { return *folder_; }

  // Starts the workers; folders of earlier, more numerous runs are opened to serve their shards.
  // Returns once all are attached.
  absl::Status StartWorkers(const WorkerOptions& options, const Abandoned& abandoned);

  // The first child that has ended; nullptr: all stand.
  const ChildProcess* Fallen();

  // "worker-1" for a worker's id in a message; the id itself if it is none of ours.
  std::string Renamed(std::string text) const;

  // Workers first; at once if `kill`.
  void Stop(bool kill = false);

 private:
  explicit LocalCluster(std::unique_ptr<StateFolder> folder) : folder_(std::move(folder)) {}

  absl::Status StartCoordinator(const Abandoned& abandoned);
  absl::Status StartWorker(int number, const WorkerOptions& options, bool serve_only);
  absl::StatusOr<bool> AllAttached() const;

  const std::unique_ptr<StateFolder> folder_;
  std::unique_ptr<ChildProcess> coordinator_;
  std::unique_ptr<Client> client_;
  std::vector<std::unique_ptr<ChildProcess>> workers_;
  std::vector<int> numbers_;  // of workers_
};

// A job that waits in the queue of a folder's coordinator would start by itself as soon as workers
// attach; this takes it out.
absl::Status PauseQueued(const Client& client);

// The path of "coordinator" or "worker": in CAROUSEL_BIN_DIR, beside this binary, or where the
// build puts it. kNotFound names the places.
absl::StatusOr<std::string> FindBinary(const std::string& name);

}  // namespace carousel
