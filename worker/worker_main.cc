// worker: offers this machine to a coordinator.

#include <grpcpp/ext/health_check_service_server_builder_option.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "cluster/log.h"
#include "cluster/loopback.h"
#include "cluster/shard_store.h"
#include "cluster/status_macros.h"
#include "cluster/store.h"
#include "cluster/store_identity.h"
#include "cluster/version.h"
#include "kernels/backend.h"
#include "worker/host.h"
#include "worker/service.h"
#include "worker/session.h"
#include "worker/worker_id.h"

ABSL_FLAG(std::string, coordinator, "", "address of the coordinator, host:port");
ABSL_FLAG(std::string, state, "", "folder of this worker's store; made if it does not exist");
ABSL_FLAG(std::string, listen, "127.0.0.1:0",
          "address for other workers and the coordinator; port 0 takes a free one");
ABSL_FLAG(int, threads, 1,
          "threads that compute; 1 is best when a machine runs as many workers as it has cores");
ABSL_FLAG(std::string, backend, "cpu", "cpu, or test: a CPU that behaves like a device, slowly");
ABSL_FLAG(bool, serve_only, false, "serve the shards of earlier runs, take no stage");
ABSL_FLAG(bool, insecure, false,
          "allow --listen beyond loopback, without encryption or authentication");

namespace carousel {
namespace {

volatile std::sig_atomic_t stop_requested = 0;
void RequestStop(int) { stop_requested = 1; }

absl::Status CheckFlags() {
  if (absl::GetFlag(FLAGS_coordinator).empty())
    return absl::InvalidArgumentError(
        "--coordinator is missing: the address of the coordinator, host:port");
  if (absl::GetFlag(FLAGS_state).empty())
    return absl::InvalidArgumentError("--state is missing: a folder for this worker's store");
  const int threads = absl::GetFlag(FLAGS_threads);
  if (threads < 1 || threads > 1024)
    return absl::InvalidArgumentError(
        absl::StrCat("--threads=", threads, " is not between 1 and 1024"));
  const std::string listen = absl::GetFlag(FLAGS_listen);
  if (!IsLoopback(listen) && !absl::GetFlag(FLAGS_insecure)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--listen=", listen,
        " is reachable from other machines, and nothing is encrypted or authenticated; "
        "add --insecure if the network is private"));
  }
  return absl::OkStatus();
}

struct Server {
  std::unique_ptr<grpc::Server> server;
  std::string address;
};

absl::StatusOr<Server> Listen(WorkerService* service) {
  const std::string listen = absl::GetFlag(FLAGS_listen);
  int port = 0;
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  builder.AddListeningPort(listen, grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(service);
  builder.SetMaxReceiveMessageSize(
      64 << 20);  // frames are 1 MiB; a manifest of the largest models is not
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 100);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
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

absl::StatusOr<Hello> HelloOf(const std::string& id, const std::string& address,
                              const std::string& cluster) {
  CAROUSEL_ASSIGN_OR_RETURN(const kernels::Isa isa, kernels::ChooseIsa());
  Hello hello;
  hello.set_isa(kernels::IsaName(isa));
  hello.set_memory_bytes(MemoryBytes());
  hello.set_version(std::string(kVersion));
  hello.set_worker(id);
  hello.set_cluster_id(cluster);
  hello.set_address(address);
  hello.set_backend(absl::GetFlag(FLAGS_backend));
  hello.set_threads(absl::GetFlag(FLAGS_threads));
  hello.set_serves_only(absl::GetFlag(FLAGS_serve_only));
  return hello;
}

absl::Status RunWorker() {
  CAROUSEL_RETURN_IF_ERROR(CheckFlags());
  CAROUSEL_ASSIGN_OR_RETURN(std::unique_ptr<Log> log, Log::Open({}));
  const std::string folder = absl::GetFlag(FLAGS_state);
  CAROUSEL_ASSIGN_OR_RETURN(std::unique_ptr<Store> store, OpenRocksDbStore(folder));
  CAROUSEL_ASSIGN_OR_RETURN(const std::string id, WorkerIdOf(folder));
  CAROUSEL_ASSIGN_OR_RETURN(const std::optional<StoreIdentity> identity, ReadStoreIdentity(*store));
  CAROUSEL_ASSIGN_OR_RETURN(
      std::unique_ptr<kernels::Backend> backend,
      kernels::NewBackend(absl::GetFlag(FLAGS_backend), absl::GetFlag(FLAGS_threads)));

  ShardStore shards(store.get());
  TransportRegistry transports;
  WorkerService service(&transports, &shards, absl::GetFlag(FLAGS_backend),
                        absl::GetFlag(FLAGS_threads));
  CAROUSEL_ASSIGN_OR_RETURN(Server server, Listen(&service));
  std::printf("worker %s listening on %s\n", id.c_str(), server.address.c_str());
  std::fflush(stdout);

  absl::Status status;
  {
    WorkerHost host(
        {.backend = backend.get(), .shards = &shards, .transports = &transports, .log = log.get()});
    CAROUSEL_ASSIGN_OR_RETURN(
        const Hello hello,
        HelloOf(id, server.address, identity.has_value() ? identity->cluster_id() : ""));
    const SessionOptions session = {.coordinator = absl::GetFlag(FLAGS_coordinator),
                                    .hello = hello,
                                    .on_welcome = [&](const Welcome& welcome) {
                                      return ClaimStore(*store, welcome.cluster_id(), kWorkerRole);
                                    }};
    status = RunSessions(session, &host, log.get(), [] { return stop_requested != 0; });
  }
  server.server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
  return status;
}

}  // namespace
}  // namespace carousel

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "Offers this machine to a coordinator.\n\n  worker --coordinator 127.0.0.1:7070 --state "
      "/var/lib/carousel/worker");
  absl::ParseCommandLine(argc, argv);
  std::signal(SIGTERM, carousel::RequestStop);
  std::signal(SIGINT, carousel::RequestStop);
  std::signal(SIGPIPE, SIG_IGN);
  const absl::Status status = carousel::RunWorker();
  if (status.ok()) return 0;
  std::fprintf(stderr, "worker: %s\n", std::string(status.message()).c_str());
  return absl::IsInvalidArgument(status) ? 2 : 1;
}
