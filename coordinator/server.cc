#include "coordinator/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <chrono>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cluster/address.h"
#include "cluster/channel.h"
#include "cluster/lease.h"
#include "cluster/loopback.h"
#include "cluster/mutex.h"
#include "cluster/status_macros.h"
#include "cluster/store_identity.h"
#include "coordinator/core.h"
#include "coordinator/locked_core.h"
#include "coordinator/service.h"
#include "coordinator/session_service.h"

namespace carousel {
namespace {

constexpr auto kTick = std::chrono::milliseconds(250);
constexpr auto kShutdownGrace = std::chrono::milliseconds(500);
constexpr int kMaxMessageBytes = 256 << 20;  // a stage's shard records with all granule digests

int Milliseconds(double seconds) { return static_cast<int>(1000 * seconds); }

std::string NewClusterId() {
  std::random_device random;
  return absl::StrFormat("%08x%08x", random(), random());
}

absl::StatusOr<std::string> ClaimFolder(Store* store) {
  CAROUSEL_ASSIGN_OR_RETURN(const std::optional<StoreIdentity> identity, ReadStoreIdentity(*store));
  const std::string cluster_id = identity.has_value() ? identity->cluster_id() : NewClusterId();
  CAROUSEL_RETURN_IF_ERROR(ClaimStore(*store, cluster_id, kCoordinatorRole));
  return cluster_id;
}

absl::Status CheckOptions(const ServerOptions& options) {
  if (options.state.empty()) {
    return absl::InvalidArgumentError("--state is missing: the folder of the coordinator's store");
  }
  CAROUSEL_RETURN_IF_ERROR(CheckAddress("--listen", options.listen, kPortToListen));
  if (!IsLoopback(options.listen) && !options.insecure) {
    return absl::InvalidArgumentError(
        absl::StrCat("--listen=", options.listen,
                     " is reachable from other machines, and nothing is encrypted or "
                     "authenticated; add --insecure if the network is private"));
  }
  if (!(options.lease_seconds >= kLeastLeaseSeconds &&
        options.lease_seconds <= kMostLeaseSeconds)) {
    return absl::InvalidArgumentError(absl::StrCat("--lease-seconds=", options.lease_seconds,
                                                   " is not between ", kLeastLeaseSeconds, " and ",
                                                   kMostLeaseSeconds));
  }
  return absl::OkStatus();
}

// Calls the core's Tick a few times a second, until destroyed.
class Ticker {
 public:
  explicit Ticker(LockedCore* core) : thread_([this, core] { Run(core); }) {}
  ~Ticker() {
    {
      MutexLock lock(&mutex_);
      stopping_ = true;
    }
    stopped_.NotifyAll();
    thread_.join();
  }

 private:
  void Run(LockedCore* core) {
    while (!StopsWithin(kTick)) core->With([](CoordinatorCore& c) { c.Tick(); });
  }

  bool StopsWithin(std::chrono::milliseconds time) {
    MutexLock lock(&mutex_);
    if (!stopping_) stopped_.WaitFor(&mutex_, time);
    return stopping_;
  }

  Mutex mutex_;
  CondVar stopped_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace

class CoordinatorServer::Parts {
 public:
  absl::Status Start(const ServerOptions& options) {
    CAROUSEL_RETURN_IF_ERROR(CheckOptions(options));
    CAROUSEL_ASSIGN_OR_RETURN(store_, OpenRocksDbStore(options.state));
    CoreOptions core_options;
    core_options.store = store_.get();
    CAROUSEL_ASSIGN_OR_RETURN(core_options.cluster_id, ClaimFolder(store_.get()));
    core_options.outbox = &outbox_;
    core_options.lease = TermsOf(options.lease_seconds);
    CAROUSEL_ASSIGN_OR_RETURN(std::unique_ptr<CoordinatorCore> core,
                              CoordinatorCore::Open(core_options));
    core_ = std::make_unique<LockedCore>(std::move(core));
    clients_ = std::make_unique<CoordinatorService>(core_.get(), options.probe_dataset);
    workers_ = std::make_unique<SessionService>(core_.get(), &outbox_);
    CAROUSEL_RETURN_IF_ERROR(Listen(options.listen, core_options.lease));
    ticker_ = std::make_unique<Ticker>(core_.get());
    return absl::OkStatus();
  }

  ~Parts() {
    ticker_.reset();
    if (core_ != nullptr) core_->Shutdown();
    outbox_.CloseAll("the coordinator stops");
    if (server_ == nullptr) return;
    server_->Shutdown(std::chrono::system_clock::now() + kShutdownGrace);
    server_->Wait();
  }

  const std::string& address() const { return address_; }
  absl::Status broken() const {
    return core_->With([](CoordinatorCore& core) { return core.broken(); });
  }

 private:
  absl::Status Listen(const std::string& listen, const LeaseTerms& lease) {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort(listen, grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(clients_.get());
    builder.RegisterService(workers_.get());
    builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    // A killed worker's socket closes at once. One that vanished with its machine is noticed by
    // pings, one that hangs by its lease.
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(lease.heartbeat_every));
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                               Milliseconds(lease.dead_after - lease.heartbeat_every));
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    AcceptPings(&builder);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port == 0) {
      return absl::UnavailableError(
          absl::StrCat("--listen=", listen,
                       ": the port is in use or the address is not this machine's; choose another "
                       "(port 0 takes a free one)"));
    }
    address_ = absl::StrCat(listen.substr(0, listen.rfind(':')), ":", port);
    return absl::OkStatus();
  }

  std::unique_ptr<Store> store_;
  SessionOutbox outbox_;
  std::unique_ptr<LockedCore> core_;
  std::unique_ptr<CoordinatorService> clients_;
  std::unique_ptr<SessionService> workers_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Ticker> ticker_;
  std::string address_;
};

CoordinatorServer::CoordinatorServer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
CoordinatorServer::~CoordinatorServer() = default;

absl::StatusOr<std::unique_ptr<CoordinatorServer>> CoordinatorServer::Start(
    const ServerOptions& options) {
  auto parts = std::make_unique<Parts>();
  CAROUSEL_RETURN_IF_ERROR(parts->Start(options));
  return std::unique_ptr<CoordinatorServer>(new CoordinatorServer(std::move(parts)));
}

const std::string& CoordinatorServer::address() const { return parts_->address(); }
absl::Status CoordinatorServer::broken() const { return parts_->broken(); }

}  // namespace carousel
