#include "worker/loopback_transport.h"

#include <utility>

#include "worker/inbox.h"
#include "worker/staged_copy.h"

namespace carousel {
namespace {

using kernels::Event;
using kernels::Span;

struct Network {
  std::vector<std::unique_ptr<Inbox>> inboxes;  // by stage
};

class LoopbackTransport : public Transport {
 public:
  LoopbackTransport(std::shared_ptr<Network> network, kernels::Backend* backend, int stage)
      : network_(std::move(network)), copier_(backend), stage_(stage) {}

  Event Send(int to_stage, const Tag& tag, Span span, const Event& ready) override {
    return copier_.Copy(span, ready, [this, to_stage, tag](absl::StatusOr<std::string> bytes) {
      if (!bytes.ok()) return Abort(bytes.status());
      network_->inboxes[to_stage]->Deliver(stage_, tag, *std::move(bytes), [] {});
    });
  }
  Event Recv(int from_stage, const Tag& tag, Span span, const Event& free) override {
    return network_->inboxes[stage_]->Recv(from_stage, tag, span, free);
  }
  absl::Status SendBytes(int to_stage, const Tag& tag, std::string bytes) override {
    copier_.WaitUntilIdle();  // a record must not overtake tensors that are still being copied
    network_->inboxes[to_stage]->Deliver(stage_, tag, std::move(bytes), [] {});
    return network_->inboxes[stage_]->status();
  }
  absl::StatusOr<std::string> ReceiveBytes(int from_stage, const Tag& tag) override {
    return network_->inboxes[stage_]->ReceiveBytes(from_stage, tag);
  }
  void Abort(const absl::Status& reason) override {
    for (auto& inbox : network_->inboxes) inbox->Abort(reason);
  }

 private:
  std::shared_ptr<Network> network_;
  StagedCopier copier_;
  const int stage_;
};

}  // namespace

std::vector<std::unique_ptr<Transport>> NewLoopbackTransports(
    const std::vector<kernels::Backend*>& backends) {
  auto network = std::make_shared<Network>();
  std::vector<std::unique_ptr<Transport>> transports;
  for (size_t stage = 0; stage < backends.size(); ++stage)
    network->inboxes.push_back(std::make_unique<Inbox>(backends[stage], stage));
  for (size_t stage = 0; stage < backends.size(); ++stage) {
    transports.push_back(std::make_unique<LoopbackTransport>(network, backends[stage], stage));
  }
  return transports;
}

}  // namespace carousel
