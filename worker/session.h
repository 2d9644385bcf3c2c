// Session: the stream that a worker keeps open to its coordinator. While it stands, messages go
// both ways; when it ends, the worker lets its stage go (a worker out of contact stops before the
// coordinator declares it lost) and tries again.
#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cluster/log.h"
#include "proto/coordinator.pb.h"
#include "worker/host.h"

namespace carousel {

// How long a coordinator may take to answer a worker's hello, seconds.
inline constexpr double kWelcomePatience = 10;

struct SessionOptions {
  std::string coordinator;  // address
  double patience = kWelcomePatience;
  std::function<absl::StatusOr<Hello>()> hello;  // of each session anew; an error ends the worker
  // Called with the welcome before anything else is handled, e.g. to claim the store for the
  // cluster; an error ends the worker.
  std::function<absl::Status(const Welcome&)> on_welcome;
};

// Runs sessions one after the other until `stopping` says so or the coordinator refuses this worker
// for good (kFailedPrecondition: another cluster's store, another version): then returns that
// refusal. One that does not answer in time, or answers with anything but a welcome, is asked
// again. Why it is out of contact is logged once, and again when the reason changes. One thread.
absl::Status RunSessions(const SessionOptions& options, WorkerHost* host, Log* log,
                         const std::function<bool()>& stopping);

}  // namespace carousel
