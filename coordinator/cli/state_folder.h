// The state folder of `carousel local`: everything that a job on this machine leaves behind.
//
//   DIR/lock             held by the process that uses the folder and by all its children, so that
//                        nobody opens a store that a dying child still has open
//   DIR/coordinator/     the coordinator's store
//   DIR/worker-0/ …      the workers' stores, each with its worker-id
//   DIR/logs/*.log       what they said
//
// Errors name the folder: kFailedPrecondition if another process uses it or if it holds something
// else.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/cli/interrupts.h"

namespace carousel {

class StateFolder {
 public:
  // Takes the folder, which is made if it is missing. If its last user was killed a moment ago,
  // waits for the children to follow.
  static absl::StatusOr<std::unique_ptr<StateFolder>> Take(const std::string& path,
                                                           const Abandoned& abandoned);

  // `path` must have been used before: for verbs that only look.
  static absl::StatusOr<std::unique_ptr<StateFolder>> TakeExisting(const std::string& path);

  ~StateFolder();

  const std::string& path() const { return path_; }
  int lock() const { return lock_; }  // for children to inherit

  std::string Coordinator() const { return path_ + "/coordinator"; }
  std::string Worker(int number) const { return path_ + "/worker-" + std::to_string(number); }
  std::string Log(const std::string& name) const { return path_ + "/logs/" + name + ".log"; }

  // Numbers of the workers that have a folder, ascending.
  std::vector<int> Workers() const;
  // What the worker calls itself; empty as long as it has not started.
  std::string WorkerId(int number) const;

 private:
  StateFolder(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}

  const std::string path_;
  const int lock_;
};

// Where a job's state lies when --state is not given: $XDG_STATE_HOME/carousel/NAME, else
// ~/.local/state/carousel/NAME.
absl::StatusOr<std::string> DefaultStateFolder(const std::string& job_name);

}  // namespace carousel
