// Two stages of one process with an edge in each direction, over loopback or gRPC: what the stories
// about transports are told on.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cluster/channel.h"
#include "kernels/backend.h"
#include "worker/grpc_transport.h"
#include "worker/loopback_transport.h"
#include "worker/service.h"

namespace carousel {

// A worker's service on a free port of loopback.
class ServedWorker {
 public:
  explicit ServedWorker(const ShardStore* shards = nullptr)
      : service_(&transports_, shards, "cpu", 1) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service_);
    AcceptPings(&builder);
    server_ = builder.BuildAndStart();
    address_ = absl::StrCat("127.0.0.1:", port);
  }
  ~ServedWorker() { Stop(); }

  // Ends every stream, as the death of a process does.
  void Stop() { server_->Shutdown(std::chrono::system_clock::now()); }

  const std::string& address() const { return address_; }
  TransportRegistry& transports() { return transports_; }

 private:
  TransportRegistry transports_;
  WorkerService service_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

class EdgePair {
 public:
  virtual ~EdgePair() = default;
  virtual Transport& stage(int index) = 0;
};

class LoopbackPair : public EdgePair {
 public:
  explicit LoopbackPair(const std::vector<kernels::Backend*>& backends, int credits = 2)
      : transports_(NewLoopbackTransports(backends, credits)) {}
  Transport& stage(int index) override { return *transports_[index]; }

 private:
  std::vector<std::unique_ptr<Transport>> transports_;
};

class GrpcPair : public EdgePair {
 public:
  explicit GrpcPair(const std::vector<kernels::Backend*>& backends, int credits = 2) {
    for (int i = 0; i < 2; ++i) {
      transports_[i] = NewTransport(backends[i], i, /*epoch=*/4, credits);
      workers_[i].transports().Add(transports_[i]);
    }
  }
  ~GrpcPair() override {
    for (int i = 0; i < 2; ++i) {
      transports_[i]->Abort(absl::CancelledError("the test is over"));
      workers_[i].transports().Remove(transports_[i].get());
    }
  }

  std::shared_ptr<GrpcTransport> NewTransport(kernels::Backend* backend, int stage, uint64_t epoch,
                                              int credits) {
    return std::make_shared<GrpcTransport>(
        backend, EdgeOptions{.job = "job",
                             .epoch = epoch,
                             .stage = stage,
                             .addresses = {workers_[0].address(), workers_[1].address()},
                             .credits = credits,
                             .max_tensor_bytes = 8 << 20});
  }
  Transport& stage(int index) override { return *transports_[index]; }
  ServedWorker& worker(int index) { return workers_[index]; }

 private:
  ServedWorker workers_[2];
  std::shared_ptr<GrpcTransport> transports_[2];
};

}  // namespace carousel
