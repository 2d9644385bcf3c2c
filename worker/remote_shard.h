// RemoteShard: a shard that another worker serves, read over gRPC piece by piece.
//
// Reading never blocks for ever: a holder that is gone, answers no pings, or sends nothing for a
// while ends it with an error that names the holder (LostWorkerOf), and so does the reader's wish.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "cluster/lease.h"
#include "cluster/shard_store.h"
#include "worker/snapshot.h"

namespace carousel {

struct RemoteRead {
  LeaseTerms lease;                 // how soon a silent holder is noticed
  double patience = 60;             // seconds without a piece, though the holder answers pings
  std::function<bool()> cancelled;  // asked several times a second; empty: never
};

// Connects to the worker that serves the shard, and reads the record, which is verified. Errors,
// here and of NextChunk: a lost worker; IsUnreadableShard if the holder has lost or damaged the
// shard; kCancelled.
absl::StatusOr<std::unique_ptr<ShardSource>> OpenRemoteShard(const std::string& holder,
                                                             const std::string& address,
                                                             const ShardId& shard,
                                                             const RemoteRead& how);

}  // namespace carousel
