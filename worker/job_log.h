// JobLog: what this worker has to say about its jobs: to its own log at once, and to the
// coordinator, where `carousel logs` shows it, with the next heartbeat.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/log.h"
#include "cluster/mutex.h"
#include "proto/coordinator.pb.h"

namespace carousel {

// Thread-safe; never waits for the network. Borrows the log.
class JobLog {
 public:
  // Lines that wait for the coordinator; of more, the oldest go.
  static constexpr size_t kMostWaiting = 200;

  explicit JobLog(Log* log) : log_(log) {}

  // `job` may be empty: about no job, and for the own log only.
  void Write(LogLevel level, std::string_view job, std::string_view line);

  // What waits, oldest first; it waits no more.
  std::vector<WorkerLog> Take();

 private:
  Log* const log_;
  Mutex mutex_;
  std::deque<WorkerLog> waiting_ ABSL_GUARDED_BY(mutex_);
  int64_t dropped_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace carousel
