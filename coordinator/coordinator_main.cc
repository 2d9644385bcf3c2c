// coordinator: takes jobs, cuts them into stages, and looks after the workers that hold them.

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "cluster/data/dataset_probe.h"
#include "cluster/lease.h"
#include "cluster/status_macros.h"
#include "cluster/usage.h"
#include "cluster/version.h"
#include "coordinator/server.h"

namespace carousel {
namespace {

volatile std::sig_atomic_t stop_requested = 0;
void RequestStop(int) { stop_requested = 1; }

void AddFlags(CLI::App* app, ServerOptions* options) {
  options->listen = "127.0.0.1:7070";
  app->add_option(
         "--listen", options->listen,
         "address for clients and workers; port 0 takes a free one [" + options->listen + "]")
      ->type_name("HOST:PORT");
  app->add_option("--state", options->state, "folder of the store; made if it does not exist")
      ->type_name("DIR")
      ->required();
  app->add_flag("--insecure", options->insecure,
                "allow --listen beyond loopback, without encryption or authentication");
  app->add_option(
         "--lease-seconds", options->lease_seconds,
         absl::StrCat("silence after which a worker is taken for lost, ", kLeastLeaseSeconds,
                      " to ", kMostLeaseSeconds, " [", options->lease_seconds, "]"))
      ->type_name("SECONDS");
  app->set_version_flag("--version", "coordinator " + std::string(kVersion));
}

absl::Status RunCoordinator(const ServerOptions& options) {
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
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);  // we say it ourselves, and better
  carousel::ServerOptions options;
  options.probe_dataset = carousel::ProbeDataset;
  CLI::App app(
      "Takes jobs and looks after the workers that train them.\n\n"
      "  coordinator --listen 127.0.0.1:7070 --state /var/lib/carousel/coordinator",
      "coordinator");
  carousel::AddFlags(&app, &options);
  if (const std::optional<int> ended = carousel::ParseCommandLine(argc, argv, &app)) return *ended;
  std::signal(SIGTERM, carousel::RequestStop);
  std::signal(SIGINT, carousel::RequestStop);
  std::signal(SIGPIPE, SIG_IGN);
  const absl::Status status = carousel::RunCoordinator(options);
  if (status.ok()) return 0;
  const std::string message(status.message());
  if (absl::IsInvalidArgument(status)) return carousel::ReportUsage(app, message);
  std::fprintf(stderr, "coordinator: %s\n", message.c_str());
  return 1;
}
