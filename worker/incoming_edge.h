// IncomingEdge: puts the tensors of one directed edge together again from their frames.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/worker.pb.h"
#include "worker/grpc_transport.h"
#include "worker/transport.h"

namespace carousel {

// A frame that belongs elsewhere (job, epoch, stage), is out of order, too large or damaged is an
// error that says which; nothing of its tensor is delivered. One thread.
class IncomingEdge {
 public:
  IncomingEdge(const EdgeOptions& options, int from_stage)
      : options_(options), from_stage_(from_stage) {}

  struct Tensor {
    Tag tag;
    std::string bytes;
  };
  // The tensor that this frame completes, if it does.
  absl::StatusOr<std::optional<Tensor>> Add(const Frame& frame);

 private:
  absl::Status Check(const Frame& frame) const;

  const EdgeOptions options_;
  const int from_stage_;
  Tag tag_;
  std::string bytes_;
  int64_t total_ = 0;
  int64_t received_ = 0;  // bytes of the tensor under way; 0: none
};

}  // namespace carousel
