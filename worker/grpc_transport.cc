#include "worker/grpc_transport.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/outgoing_edge.h"

namespace carousel {

using kernels::Event;
using kernels::Span;

GrpcTransport::GrpcTransport(kernels::Backend* backend, EdgeOptions options)
    : options_(std::move(options)), inbox_(backend, options_.stage), copier_(backend) {}

GrpcTransport::~GrpcTransport() {
  Abort(absl::CancelledError("the transport is gone"));
  WaitUntilIdle();  // copies under way refer to the edges
}

OutgoingEdge* GrpcTransport::EdgeTo(int stage) {
  MutexLock lock(&mutex_);
  std::unique_ptr<OutgoingEdge>& edge = edges_[stage];
  if (edge == nullptr) {
    edge = std::make_unique<OutgoingEdge>(
        options_, stage, [this](const absl::Status& status) { inbox_.Abort(status); });
  }
  return edge.get();
}

Event GrpcTransport::Send(int to_stage, const Tag& tag, Span span, const Event& ready) {
  OutgoingEdge* edge = EdgeTo(to_stage);
  return copier_.Copy(span, ready, [this, edge, tag](absl::StatusOr<std::string> bytes) {
    if (!bytes.ok()) return inbox_.Abort(bytes.status());  // the peer would wait for ever
    edge->Push(tag, *std::move(bytes));
  });
}

Event GrpcTransport::Recv(int from_stage, const Tag& tag, Span span, const Event& free) {
  return inbox_.Recv(from_stage, tag, span, free);
}

absl::Status GrpcTransport::SendBytes(int to_stage, const Tag& tag, std::string bytes) {
  copier_.WaitUntilIdle();  // a record must not overtake tensors that are still being copied
  EdgeTo(to_stage)->Push(tag, std::move(bytes));
  return inbox_.status();
}

absl::StatusOr<std::string> GrpcTransport::ReceiveBytes(int from_stage, const Tag& tag) {
  return inbox_.ReceiveBytes(from_stage, tag);
}

void GrpcTransport::Abort(const absl::Status& reason) {
  inbox_.Abort(reason);
  MutexLock lock(&mutex_);
  for (auto& [stage, edge] : edges_) edge->Abort();
}

void TransportRegistry::Add(std::shared_ptr<GrpcTransport> transport) {
  MutexLock lock(&mutex_);
  transports_.push_back(std::move(transport));
}

void TransportRegistry::Remove(const GrpcTransport* transport) {
  MutexLock lock(&mutex_);
  std::erase_if(transports_, [transport](const auto& held) { return held.get() == transport; });
}

absl::StatusOr<std::shared_ptr<GrpcTransport>> TransportRegistry::Find(const std::string& job,
                                                                       uint64_t epoch) {
  MutexLock lock(&mutex_);
  for (const auto& transport : transports_) {
    if (transport->options().job == job && transport->options().epoch == epoch) return transport;
  }
  return absl::FailedPreconditionError(
      absl::StrCat("job ", job, ", epoch ", epoch, " is not installed on this worker"));
}

}  // namespace carousel
