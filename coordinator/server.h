// The coordinator as a process part: store, core, both doors and the clock's ticks, started and
// stopped as one.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cluster/job/resolve.h"

namespace carousel {

struct ServerOptions {
  std::string listen;          // host:port; port 0: any free one
  std::string state;           // folder of the store
  bool insecure = false;       // may listen beyond loopback
  double lease_seconds = 8;    // silence after which a worker is lost
  DatasetProbe probe_dataset;  // for jobs that name a dataset without its digest
};

class CoordinatorServer {
 public:
  // Errors name the flag or the folder: kInvalidArgument, kUnavailable (state folder or port in
  // use), kFailedPrecondition (another cluster's or a worker's folder).
  static absl::StatusOr<std::unique_ptr<CoordinatorServer>> Start(const ServerOptions& options);

  // Ends sessions and calls; jobs that run come up as PAUSED at the next start.
  ~CoordinatorServer();

  // Where it listens, with the port that was taken.
  const std::string& address() const;
  // OK while all is well; else why it cannot go on (the journal cannot be written).
  absl::Status broken() const;

 private:
  class Parts;
  explicit CoordinatorServer(std::unique_ptr<Parts> parts);
  const std::unique_ptr<Parts> parts_;
};

}  // namespace carousel
