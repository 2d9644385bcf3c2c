// OutgoingEdge: the sending end of one directed edge over gRPC.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "proto/worker.grpc.pb.h"
#include "worker/grpc_transport.h"

namespace carousel {

// Two threads of its own: one writes frames as credits allow, one reads credits; both sleep while
// there is nothing to do. A broken stream calls `broken` once with a status that names the peer.
// Thread-safe.
class OutgoingEdge {
 public:
  OutgoingEdge(const EdgeOptions& options, int to_stage,
               std::function<void(const absl::Status&)> broken);
  ~OutgoingEdge();  // Abort first

  void Push(const Tag& tag, std::string bytes);
  void Abort();

 private:
  struct Parcel {
    Tag tag;
    std::string bytes;
  };

  void Write();
  void ReadCredits();
  bool WaitForParcel(Parcel* parcel);
  bool WriteParcel(const Parcel& parcel);
  void Report(const grpc::Status& status);

  const EdgeOptions options_;
  const int to_stage_;
  const std::function<void(const absl::Status&)> broken_;
  std::unique_ptr<Worker::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<Frame, Credit>> stream_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Parcel> parcels_;
  int credits_ = 0;
  bool stopping_ = false;
  std::thread writer_, reader_;  // the writer opens the stream and begins the reader
};

}  // namespace carousel
