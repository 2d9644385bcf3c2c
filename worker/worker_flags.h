// What the command line of `worker` may say.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace carousel {

struct WorkerFlags {
  std::string coordinator;  // host:port
  std::string state;        // folder
  std::string listen = "127.0.0.1:0";
  std::string backend = "cpu";
  int threads = 1;
  bool serve_only = false;
  bool insecure = false;
};

// kInvalidArgument names the flag, its value and the way out. Beyond what a flag says by itself:
// the address to listen on is told to others as this worker's, so it must be one that they can
// connect to, and beyond loopback only with --insecure.
absl::Status CheckFlags(const WorkerFlags& flags);

}  // namespace carousel
