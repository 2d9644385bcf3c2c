#include "worker/grpc_transport.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "worker/outgoing_edge.h"

namespace carousel {

using kernels::Event;
using kernels::Span;

GrpcTransport::GrpcTransport(kernels::Backend* backend, EdgeOptions options)
    : backend_(backend),
      options_(std::move(options)),
      inbox_(backend, options_.stage, options_.credits) {}

GrpcTransport::~GrpcTransport() {
  GrpcTransport::Abort(absl::CancelledError("the transport is gone"));
}

OutgoingEdge* GrpcTransport::EdgeTo(int stage) {
  MutexLock lock(&mutex_);
  std::unique_ptr<OutgoingEdge>& edge = edges_[stage];
  if (edge == nullptr) {
    edge = std::make_unique<OutgoingEdge>(
        backend_, options_, stage, [this](const absl::Status& status) { inbox_.Abort(status); });
    if (!over_.ok()) edge->Abort(over_);
  }
  return edge.get();
}

Event GrpcTransport::Send(int to_stage, const Tag& tag, Span span, const Event& ready) {
  return EdgeTo(to_stage)->queue().Push(tag, span, ready);
}

Event GrpcTransport::Recv(int from_stage, const Tag& tag, Span span, const Event& free) {
  return inbox_.Recv(from_stage, tag, span, free);
}

absl::Status GrpcTransport::SendBytes(int to_stage, const Tag& tag, std::string bytes) {
  EdgeTo(to_stage)->queue().Push(tag, std::move(bytes));
  return inbox_.status();
}

absl::StatusOr<std::string> GrpcTransport::ReceiveBytes(int from_stage, const Tag& tag) {
  return inbox_.ReceiveBytes(from_stage, tag);
}

void GrpcTransport::Abort(const absl::Status& reason) {
  inbox_.Abort(reason);
  MutexLock lock(&mutex_);
  if (over_.ok()) over_ = reason;
  for (auto& [stage, edge] : edges_) edge->Abort(over_);
}

void GrpcTransport::WaitUntilIdle() {
  inbox_.WaitUntilIdle();
  MutexLock lock(&mutex_);
  for (auto& [stage, edge] : edges_) edge->queue().WaitUntilIdle();
}

absl::Status GrpcTransport::AcceptEdge(int from_stage, int to_stage) {
  const int stages = static_cast<int>(options_.addresses.size());
  if (from_stage < 0 || from_stage >= stages || from_stage == options_.stage ||
      to_stage != options_.stage) {
    return absl::InvalidArgumentError(
        absl::StrCat("the plan has no edge from stage ", from_stage, " to stage ", to_stage,
                     " here; this worker holds stage ", options_.stage, " of ", stages));
  }
  MutexLock lock(&mutex_);
  if (accepted_.insert(from_stage).second) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the edge from stage ", from_stage, " to stage ", to_stage, " is open already"));
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
  return absl::UnavailableError(
      absl::StrCat("job ", job, ", epoch ", epoch, " is not installed on this worker"));
}

}  // namespace carousel
