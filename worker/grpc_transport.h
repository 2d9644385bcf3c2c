// Edges over gRPC: one long stream for each directed edge, opened by its sender. Tensors are cut
// into frames of at most 1 MiB, each with the epoch and a checksum; whole tensors are handed to the
// inbox. Credits come back on the same stream.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cluster/lease.h"
#include "cluster/mutex.h"
#include "kernels/backend.h"
#include "worker/inbox.h"
#include "worker/transport.h"

namespace carousel {

class OutgoingEdge;

// Where a stage of an epoch sits among its peers.
struct EdgeOptions {
  std::string job;
  uint64_t epoch = 0;
  int stage = 0;
  std::vector<std::string> addresses;  // of the workers, by stage
  int credits = 2;               // tensors and records that it has room for on each incoming edge
  int64_t max_tensor_bytes = 0;  // larger ones are refused before anything is allocated
  LeaseTerms lease;              // how soon a silent peer is noticed
};

// As Transport; the service's threads deliver through inbox(). Destroyed after Abort and once no
// service thread uses it (shared_ptr).
class GrpcTransport : public Transport {
 public:
  GrpcTransport(kernels::Backend* backend, EdgeOptions options);
  ~GrpcTransport() override;

  kernels::Event Send(int to_stage, const Tag& tag, kernels::Span span,
                      const kernels::Event& ready) override;
  kernels::Event Recv(int from_stage, const Tag& tag, kernels::Span span,
                      const kernels::Event& free) override;
  absl::Status SendBytes(int to_stage, const Tag& tag, std::string bytes) override;
  absl::StatusOr<std::string> ReceiveBytes(int from_stage, const Tag& tag) override;
  void Abort(const absl::Status& reason) override;

  // Blocks until no span that was given to Send or Recv is touched any more; after Abort.
  void WaitUntilIdle();

  // A peer opens its edge to this stage, once: kInvalidArgument if the plan has no such edge,
  // kFailedPrecondition if it is open already.
  absl::Status AcceptEdge(int from_stage, int to_stage);

  Inbox& inbox() { return inbox_; }
  const EdgeOptions& options() const { return options_; }

 private:
  OutgoingEdge* EdgeTo(int stage);

  kernels::Backend* const backend_;
  const EdgeOptions options_;
  Inbox inbox_;
  Mutex mutex_;
  std::map<int, std::unique_ptr<OutgoingEdge>> edges_ ABSL_GUARDED_BY(mutex_);
  std::set<int> accepted_ ABSL_GUARDED_BY(mutex_);  // stages whose edges to this one are open
  absl::Status over_ ABSL_GUARDED_BY(mutex_);       // why, after Abort
};

// The transports of the epochs that this worker takes part in, for the service to find.
// Thread-safe.
class TransportRegistry {
 public:
  void Add(std::shared_ptr<GrpcTransport> transport);
  void Remove(const GrpcTransport* transport);
  // kUnavailable for an epoch that is not (or no longer) installed here: the message is fenced off,
  // and to a peer of that epoch this stage is gone.
  absl::StatusOr<std::shared_ptr<GrpcTransport>> Find(const std::string& job, uint64_t epoch);

 private:
  Mutex mutex_;
  std::vector<std::shared_ptr<GrpcTransport>> transports_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace carousel
