// A job's stream of news, read by a thread of its own so that whoever follows can also look at
// signals and child processes.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <optional>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "cluster/mutex.h"
#include "coordinator/cli/client.h"
#include "proto/coordinator.pb.h"

namespace carousel {

// One thread besides its own uses it. `client` outlives it.
class JobFollower {
 public:
  JobFollower(const Client* client, const std::string& job);
  ~JobFollower();  // leaves the stream

  // The newest view if it changed since the last call, after waiting for at most `patience`.
  std::optional<Job> WaitForNews(std::chrono::milliseconds patience);

  // The stream is over and all its news was taken: the job rests, or status() says why not.
  bool ended() const;
  absl::Status status() const;

 private:
  void Read(const std::string& job);

  const Client* const client_;
  grpc::ClientContext context_;
  mutable Mutex mutex_;
  CondVar changed_;
  std::optional<Job> news_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace carousel
