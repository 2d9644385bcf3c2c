// coordinator: takes jobs, cuts them into stages, and looks after the workers that hold them.

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "cluster/data/dataset_probe.h"
#include "cluster/status_macros.h"
#include "coordinator/server.h"

ABSL_FLAG(std::string, listen, "127.0.0.1:7070",
          "address for clients and workers; port 0 takes a free one");
ABSL_FLAG(std::string, state, "", "folder of the store; made if it does not exist");
ABSL_FLAG(bool, insecure, false,
          "allow --listen beyond loopback, without encryption or authentication");
ABSL_FLAG(double, lease_seconds, 8, "silence after which a worker is taken for lost");

namespace carousel {
namespace {

volatile std::sig_atomic_t stop_requested = 0;
void RequestStop(int) { stop_requested = 1; }

absl::Status RunCoordinator() {
  ServerOptions options;
  options.listen = absl::GetFlag(FLAGS_listen);
  options.state = absl::GetFlag(FLAGS_state);
  options.insecure = absl::GetFlag(FLAGS_insecure);
  options.lease_seconds = absl::GetFlag(FLAGS_lease_seconds);
  options.probe_dataset = ProbeDataset;
  CAROUSEL_ASSIGN_OR_RETURN(const auto server, CoordinatorServer::Start(options));
  std::printf("listening on %s\n", server->address().c_str());
  std::fflush(stdout);
  while (stop_requested == 0) {
    CAROUSEL_RETURN_IF_ERROR(server->broken());
    const timespec pause = {0, 100'000'000};
    nanosleep(&pause, nullptr);  // a signal ends it early
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace carousel

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "Takes jobs and looks after the workers that train them.\n\n"
      "  coordinator --listen 127.0.0.1:7070 --state /var/lib/carousel/coordinator");
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);  // we say it ourselves, and better
  const auto rest = absl::ParseCommandLine(argc, argv);
  if (rest.size() > 1) {
    std::fprintf(stderr, "coordinator: '%s' is no flag; --help lists them\n", rest[1]);
    return 2;
  }
  std::signal(SIGTERM, carousel::RequestStop);
  std::signal(SIGINT, carousel::RequestStop);
  std::signal(SIGPIPE, SIG_IGN);
  const absl::Status status = carousel::RunCoordinator();
  if (status.ok()) return 0;
  std::fprintf(stderr, "coordinator: %s\n", std::string(status.message()).c_str());
  return absl::IsInvalidArgument(status) ? 2 : 1;
}
