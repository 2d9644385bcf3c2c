// A worker that is asked for a shard and never answers.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "cluster/channel.h"
#include "kernels/event.h"
#include "proto/worker.grpc.pb.h"

namespace carousel {

class SilentHolder : public Worker::Service {
 public:
  SilentHolder() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    AcceptPings(&builder);
    server_ = builder.BuildAndStart();
    address = absl::StrCat("127.0.0.1:", port);
  }
  ~SilentHolder() override {
    over_.Complete();
    server_->Shutdown();
  }

  // Asked once.
  grpc::Status ReadShard(grpc::ServerContext*, const ReadShardRequest*,
                         grpc::ServerWriter<ShardPiece>*) override {
    was_asked.Complete();
    over_.Wait().IgnoreError();
    return grpc::Status::OK;
  }

  std::string address;
  kernels::Event was_asked = kernels::Event::Pending();

 private:
  kernels::Event over_ = kernels::Event::Pending();
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace carousel
