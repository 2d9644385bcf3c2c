// OutgoingEdge: the sending end of one directed edge over gRPC.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <thread>

#include "absl/status/status.h"
#include "proto/worker.grpc.pb.h"
#include "worker/grpc_transport.h"
#include "worker/send_queue.h"

namespace carousel {

inline constexpr int64_t kFrameBytes = 1 << 20;  // of a tensor, at most

// Two threads of its own: one writes frames as credits allow, one reads credits; both sleep while
// there is nothing to do. A stream that broke, or a tensor whose content never came, calls `broken`
// once: with a LostStageError if the peer is gone, with the peer's own status if it has refused
// what it was sent, with the device's error. Thread-safe.
class OutgoingEdge {
 public:
  OutgoingEdge(kernels::Backend* backend, const EdgeOptions& options, int to_stage,
               std::function<void(const absl::Status&)> broken);
  ~OutgoingEdge();  // Abort first

  SendQueue& queue() { return queue_; }
  void Abort(const absl::Status& reason);

 private:
  void Write();
  void ReadCredits();
  absl::Status WhyItBroke(const absl::Status& end) const;
  bool WriteParcel(const SendQueue::Parcel& parcel);
  void Report(const absl::Status& status);

  const EdgeOptions options_;
  const int to_stage_;
  const std::function<void(const absl::Status&)> broken_;
  SendQueue queue_;
  std::unique_ptr<Worker::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<Frame, Credit>> stream_;
  std::atomic<bool> over_{false};
  std::thread writer_, reader_;  // the writer opens the stream and begins the reader
};

}  // namespace carousel
