// A connection to a coordinator: one channel, checked before the first call, with errors that say
// which address was tried and what to do. Every call is made through Call (reads), Ask (changes) or
// a stream of the stub.
//
// Thread-safe. Errors: UnreachableError if nobody answers or the connection breaks, else what the
// coordinator answered (cluster/rpc_status.h), kDeadlineExceeded after `seconds`.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/coordinator.grpc.pb.h"

namespace carousel {

// As good as a UUID: 128 random bits in hex.
std::string NewRequestId();

class Client {
 public:
  static constexpr double kConnectSeconds = 3;  // a coordinator that starts just now is waited for
  static constexpr double kCallSeconds = 20;
  static constexpr double kForever = 0;

  static absl::StatusOr<std::unique_ptr<Client>> Connect(const std::string& address);

  template <typename Request, typename Response>
  using Method = grpc::Status (Coordinator::Stub::*)(grpc::ClientContext*, const Request&,
                                                     Response*);

  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(Method<Request, Response> method, const Request& request,
                                double seconds = kCallSeconds) const {
    grpc::ClientContext context;
    SetDeadline(seconds, &context);
    Response response;
    const absl::Status status = Judge((stub_.get()->*method)(&context, request, &response));
    if (!status.ok()) return status;
    return response;
  }

  // A call that changes something: carries a request id, and is repeated under the same one while
  // the connection breaks.
  template <typename Request, typename Response>
  absl::StatusOr<Response> Ask(Method<Request, Response> method, Request request,
                               double seconds = kForever) const {
    request.set_request_id(NewRequestId());
    absl::StatusOr<Response> response = Call(method, request, seconds);
    for (int attempt = 1; attempt < kAttempts && ShouldRepeat(response.status(), attempt);
         ++attempt) {
      response = Call(method, request, seconds);
    }
    return response;
  }

  Coordinator::Stub& stub() const { return *stub_; }
  const std::string& address() const { return address_; }

  // What became of a call, for people.
  absl::Status Judge(const grpc::Status& status) const;

  static void SetDeadline(double seconds, grpc::ClientContext* context);

 private:
  static constexpr int kAttempts = 4;

  Client(std::string address, std::shared_ptr<grpc::Channel> channel);

  // After a pause, if the connection broke.
  static bool ShouldRepeat(const absl::Status& status, int attempt);

  const std::string address_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<Coordinator::Stub> stub_;
};

// Reads a stream to its end; `take` returns false to leave early.
template <typename Message>
absl::Status ReadAll(const Client& client, grpc::ClientContext* context,
                     grpc::ClientReader<Message>* reader,
                     const std::function<bool(const Message&)>& take) {
  Message message;
  while (reader->Read(&message)) {
    if (take(message)) continue;
    context->TryCancel();
    reader->Finish();
    return absl::OkStatus();
  }
  return client.Judge(reader->Finish());
}

}  // namespace carousel
