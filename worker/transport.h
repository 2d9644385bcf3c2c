// Transport: one of the four doors to the world. Edges between the stages of one plan: tensors by
// device span and event, small records as bytes.
//
// What is sent on a directed edge (from, to), tensors and records alike, arrives in the order in
// which it was sent; the receiver asks for it in that order by the tag that it expects, and a tag,
// size, epoch or checksum that differs is an error, never a search.
//
// A receiver makes room for a fixed number of tensors and records (credits), and nothing leaves
// without a credit. On the sender's side tensors stay on the device until they are next; the next
// one waits for its credit on the host. Records wait on the host, but there is one a step and edge.
// So memory is bounded by the plan.
//
// Loopback (stages in one process) and gRPC stand behind it; NCCL will.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/event.h"
#include "kernels/span.h"
#include "proto/worker.pb.h"

namespace carousel {

// What a tensor under way is. micro_batch and segment are 0 where the kind has none.
struct Tag {
  int64_t step = 0;
  PayloadKind kind = PAYLOAD_KIND_UNSPECIFIED;
  int micro_batch = 0;
  int segment = 0;

  friend bool operator==(const Tag&, const Tag&) = default;
  std::string ToString() const;  // "activation of micro-batch 3, segment 1, step 17"
};

// Belongs to one stage of one epoch. Send, Recv and their byte forms are called by one thread (the
// executor's); Abort by any.
class Transport {
 public:
  virtual ~Transport() = default;

  // Sends the span's content as of `ready`; never blocks. The event completes when the span may be
  // written again: when all that was sent before it on this edge has found room, and it was taken.
  virtual kernels::Event Send(int to_stage, const Tag& tag, kernels::Span span,
                              const kernels::Event& ready) = 0;

  // Fills the span, which may be written from `free` on, with the next tensor from that stage. The
  // event completes when it is there.
  virtual kernels::Event Recv(int from_stage, const Tag& tag, kernels::Span span,
                              const kernels::Event& free) = 0;

  // The same for a small record that lives on the host: SendBytes keeps it until there is room and
  // never blocks, ReceiveBytes blocks until the record is there.
  virtual absl::Status SendBytes(int to_stage, const Tag& tag, std::string bytes) = 0;
  virtual absl::StatusOr<std::string> ReceiveBytes(int from_stage, const Tag& tag) = 0;

  // Everything under way and everything later fails with `reason`. Idempotent; the first reason
  // stays.
  virtual void Abort(const absl::Status& reason) = 0;
};

}  // namespace carousel
