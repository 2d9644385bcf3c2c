#include "worker/worker_flags.h"

#include <initializer_list>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "cluster/address.h"
#include "cluster/loopback.h"
#include "cluster/status_macros.h"

namespace carousel {
namespace {

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
  CAROUSEL_RETURN_IF_ERROR(CheckAddress("--coordinator", flags.coordinator, kPortToConnect));
  if (flags.state.empty())
    return absl::InvalidArgumentError("--state is missing: a folder for this worker's store");
  CAROUSEL_RETURN_IF_ERROR(CheckAddress("--listen", flags.listen, kPortToListen));
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
