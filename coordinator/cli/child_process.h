// A process that `carousel local` starts and answers for. It dies with us, however we die
// (PR_SET_PDEATHSIG), and is in a process group of its own, so that Ctrl-C reaches it through us.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/cli/interrupts.h"

namespace carousel {

struct ChildOptions {
  std::string name;               // "worker-1", for messages
  std::vector<std::string> argv;  // [0]: the path of the binary
  std::string log;                // file that all it says is appended to
  int inherited = -1;             // a descriptor that it keeps open
};

// To be used by the thread that started it: the kernel ties the child's life to that thread.
class ChildProcess {
 public:
  static absl::StatusOr<std::unique_ptr<ChildProcess>> Start(const ChildOptions& options);
  ~ChildProcess();  // kills it if it runs

  const std::string& name() const { return options_.name; }
  pid_t pid() const { return pid_; }

  bool Running();

  // The first line it says that begins with `words`; an error if it ends, or `patience` does,
  // before it is said.
  absl::StatusOr<std::string> WaitForLine(const std::string& words, std::chrono::seconds patience,
                                          const Abandoned& abandoned);

  // Asks it to stop; kills it if it does not within `patience`.
  void RequestStop();
  void WaitOrKill(std::chrono::steady_clock::time_point until);
  void Kill();

  // "worker-1 (process 4711) was killed by signal 9 (Killed)", and its last words.
  std::string Obituary() const;

 private:
  ChildProcess(ChildOptions options, pid_t pid, int64_t log_before)
      : options_(std::move(options)), pid_(pid), log_before_(log_before) {}

  const ChildOptions options_;
  const pid_t pid_;
  const int64_t log_before_;  // bytes that the log had when it started
  bool running_ = true;
  int wait_status_ = 0;
};

// The last lines of a file, indented, with the file's name above; empty if there are none.
std::string LastLines(const std::string& file, int lines);

}  // namespace carousel
