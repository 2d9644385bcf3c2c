// worker: offers this machine to a coordinator.

#include <grpcpp/ext/health_check_service_server_builder_option.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "cluster/channel.h"
#include "cluster/flag_checks.h"
#include "cluster/job/resolve.h"
#include "cluster/log.h"
#include "cluster/shard_store.h"
#include "cluster/status_macros.h"
#include "cluster/store.h"
#include "cluster/store_identity.h"
#include "cluster/usage.h"
#include "cluster/version.h"
#include "kernels/backend.h"
#include "worker/host.h"
#include "worker/service.h"
#include "worker/session.h"
#include "worker/worker_flags.h"
#include "worker/worker_id.h"

namespace carousel {
namespace {

constexpr int kMaxMessageBytes = 64 << 20;  // frames are 1 MiB; a manifest may be more

volatile std::sig_atomic_t stop_requested = 0;
void RequestStop(int) { stop_requested = 1; }

struct Server {
  std::unique_ptr<grpc::Server> server;
  std::string address;
};

absl::StatusOr<Server> Listen(const std::string& listen, WorkerService* service) {
  int port = 0;
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  builder.AddListeningPort(listen, grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(service);
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  AcceptPings(&builder);
  Server server = {.server = builder.BuildAndStart()};
  if (server.server == nullptr || port == 0) {
    return absl::UnavailableError(absl::StrCat(
        "cannot listen on ", listen,
        ": the port is in use or the address is not this machine's; choose another --listen"));
  }
  server.address = absl::StrCat(listen.substr(0, listen.rfind(':')), ":", port);
  return server;
}

int64_t MemoryBytes() {
  return static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
}

// What does not change while the process runs.
absl::StatusOr<Hello> HelloOf(const WorkerFlags& flags, const std::string& id,
                              const std::string& address) {
  CAROUSEL_ASSIGN_OR_RETURN(const kernels::Isa isa, kernels::ChooseIsa());
  Hello hello;
  hello.set_isa(kernels::IsaName(isa));
  hello.set_memory_bytes(MemoryBytes());
  hello.set_version(std::string(kVersion));
  hello.set_kernel_version(kKernelVersion);
  hello.set_worker(id);
  hello.set_address(address);
  hello.set_backend(flags.backend);
  hello.set_threads(flags.threads);
  hello.set_serves_only(flags.serve_only);
  return hello;
}

// And what the store says now.
absl::StatusOr<Hello> WithStore(Hello hello, const Store& store, const ShardStore& shards) {
  CAROUSEL_ASSIGN_OR_RETURN(const std::optional<StoreIdentity> identity, ReadStoreIdentity(store));
  if (identity.has_value()) hello.set_cluster_id(identity->cluster_id());
  CAROUSEL_ASSIGN_OR_RETURN(const int64_t newest_epoch, shards.NewestEpoch());
  hello.set_newest_epoch(static_cast<uint64_t>(newest_epoch));
  return hello;
}

absl::Status RunWorker(const WorkerFlags& flags) {
  CAROUSEL_ASSIGN_OR_RETURN(std::unique_ptr<Log> log, Log::Open({}));
  const std::string folder = flags.state;
  CAROUSEL_ASSIGN_OR_RETURN(std::unique_ptr<Store> store, OpenRocksDbStore(folder));
  CAROUSEL_ASSIGN_OR_RETURN(const std::string id, WorkerIdOf(folder));
  CAROUSEL_ASSIGN_OR_RETURN(std::unique_ptr<kernels::Backend> backend,
                            kernels::NewBackend(flags.backend, flags.threads));

  ShardStore shards(store.get());
  TransportRegistry transports;
  WorkerService service(&transports, &shards, flags.backend, flags.threads);
  CAROUSEL_ASSIGN_OR_RETURN(Server server, Listen(flags.listen, &service));
  std::printf("worker %s listening on %s\n", id.c_str(), server.address.c_str());
  std::fflush(stdout);

  absl::Status status;
  {
    WorkerHost host(
        {.backend = backend.get(), .shards = &shards, .transports = &transports, .log = log.get()});
    CAROUSEL_ASSIGN_OR_RETURN(const Hello hello, HelloOf(flags, id, server.address));
    const SessionOptions session = {.coordinator = flags.coordinator,
                                    .hello = [&] { return WithStore(hello, *store, shards); },
                                    .on_welcome =
                                        [&](const Welcome& welcome) {
                                          return ClaimStore(*store, welcome.cluster_id(),
                                                            kWorkerRole);
                                        }};
    status = RunSessions(session, &host, log.get(), [] { return stop_requested != 0; });
  }
  server.server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
  return status;
}

void AddFlags(CLI::App* app, WorkerFlags* flags) {
  app->add_option("--coordinator", flags->coordinator, "address of the coordinator")
      ->type_name("HOST:PORT")
      ->required();
  app->add_option("--state", flags->state, "folder of this worker's store; made if it is missing")
      ->type_name("DIR")
      ->required();
  app->add_option("--listen", flags->listen,
                  "address for other workers and the coordinator, as they reach it; port 0 takes a "
                  "free one [" +
                      flags->listen + "]")
      ->type_name("HOST:PORT");
  app->add_option("--threads", flags->threads,
                  "threads that compute; 1 is best when a machine runs as many workers as it has "
                  "cores [" +
                      std::to_string(flags->threads) + "]")
      ->type_name("N")
      ->check(WholeNumber(1, kMaxThreads));
  app->add_option("--backend", flags->backend,
                  "cpu, or test: a CPU that behaves like a device, slowly [" + flags->backend + "]")
      ->type_name("NAME")
      ->check(CLI::IsMember({"cpu", "test"}));
  app->add_flag("--serve-only", flags->serve_only,
                "serve the shards of earlier runs, take no stage");
  app->add_flag("--insecure", flags->insecure,
                "allow --listen beyond loopback, without encryption or authentication");
  app->set_version_flag("--version", "worker " + std::string(kVersion));
}

}  // namespace
}  // namespace carousel

int main(int argc, char** argv) {
  carousel::WorkerFlags flags;
  CLI::App app(
      "Offers this machine to a coordinator, until SIGTERM.\n\n"
      "  worker --coordinator 127.0.0.1:7070 --state /var/lib/carousel/worker",
      "worker");
  carousel::AddFlags(&app, &flags);
  if (const std::optional<int> ended = carousel::ParseCommandLine(argc, argv, &app)) return *ended;
  if (const absl::Status wrong = carousel::CheckFlags(flags); !wrong.ok())
    return carousel::ReportUsage(app, std::string(wrong.message()));
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);  // errors come back as statuses
  std::signal(SIGTERM, carousel::RequestStop);
  std::signal(SIGINT, carousel::RequestStop);
  std::signal(SIGPIPE, SIG_IGN);
  const absl::Status status = carousel::RunWorker(flags);
  if (status.ok()) return 0;
  std::fprintf(stderr, "worker: %s\n", std::string(status.message()).c_str());
  return 1;
}
