#include "worker/worker_flags.h"

#include <initializer_list>
#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cluster/loopback.h"

namespace carousel {
namespace {

// "host:port" or "[ipv6]:port".
absl::Status CheckAddress(const char* flag, const std::string& address, int least_port) {
  const size_t colon = address.rfind(':');
  const std::string host = address.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  int port = -1;
  if (colon != std::string::npos && !host.empty() &&
      (bracketed || host.find(':') == std::string::npos) &&
      absl::SimpleAtoi(address.substr(colon + 1), &port) && port >= least_port && port <= 65535) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(flag, "=", address,
                                                 " is not host:port with a port from ", least_port,
                                                 " to 65535, e.g. 127.0.0.1:7070"));
}

bool IsEveryInterface(const std::string& listen) {
  const std::string host = listen.substr(0, listen.rfind(':'));
  for (const std::string_view any : {"0.0.0.0", "[::]", "*"}) {
    if (host == any) return true;
  }
  return false;
}

}  // namespace

absl::Status CheckFlags(const WorkerFlags& flags) {
  if (flags.coordinator.empty())
    return absl::InvalidArgumentError(
        "--coordinator is missing: the address of the coordinator, host:port");
  if (absl::Status bad = CheckAddress("--coordinator", flags.coordinator, 1); !bad.ok()) return bad;
  if (flags.state.empty())
    return absl::InvalidArgumentError("--state is missing: a folder for this worker's store");
  if (absl::Status bad = CheckAddress("--listen", flags.listen, 0); !bad.ok()) return bad;
  if (IsEveryInterface(flags.listen)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--listen=", flags.listen,
        " is every address of this machine, and others are told to connect to exactly what stands "
        "here; give the one by which they reach it"));
  }
  if (!IsLoopback(flags.listen) && !flags.insecure) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--listen=", flags.listen,
        " is reachable from other machines, and nothing is encrypted or authenticated; "
        "add --insecure if the network is private"));
  }
  return absl::OkStatus();
}

}  // namespace carousel
