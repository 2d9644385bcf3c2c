#include "worker/loopback_transport.h"

#include <map>
#include <thread>
#include <utility>

#include "cluster/mutex.h"
#include "worker/inbox.h"
#include "worker/send_queue.h"

namespace carousel {
namespace {

using kernels::Event;
using kernels::Span;

struct Network {
  std::vector<std::unique_ptr<Inbox>> inboxes;  // by stage
  int credits = 0;

  void Abort(const absl::Status& reason) {
    for (auto& inbox : inboxes) inbox->Abort(reason);
  }
};

// From one stage to another, with the thread that carries.
class Edge {
 public:
  Edge(const std::shared_ptr<Network>& network, kernels::Backend* backend, int from, int to)
      : queue_(std::make_shared<SendQueue>(backend)),
        carrier_([network, queue = queue_, from, to] { Carry(*network, queue, from, to); }) {
    queue_->AddCredits(network->credits);
  }
  ~Edge() {
    queue_->Abort(absl::CancelledError("the transport is gone"));
    carrier_.join();
  }
  SendQueue& queue() { return *queue_; }

 private:
  // Credits come back whenever a tensor is consumed, perhaps after the edge is gone.
  static void Carry(Network& network, const std::shared_ptr<SendQueue>& queue, int from, int to) {
    while (true) {
      absl::StatusOr<SendQueue::Parcel> parcel = queue->Take();
      if (!parcel.ok()) return network.Abort(parcel.status());
      network.inboxes[to]->Deliver(from, parcel->tag, std::move(parcel->bytes),
                                   [queue] { queue->AddCredits(1); });
    }
  }

  const std::shared_ptr<SendQueue> queue_;
  std::thread carrier_;
};

class LoopbackTransport : public Transport {
 public:
  LoopbackTransport(std::shared_ptr<Network> network, kernels::Backend* backend, int stage)
      : network_(std::move(network)), backend_(backend), stage_(stage) {}

  Event Send(int to_stage, const Tag& tag, Span span, const Event& ready) override {
    return QueueTo(to_stage).Push(tag, span, ready);
  }
  Event Recv(int from_stage, const Tag& tag, Span span, const Event& free) override {
    return network_->inboxes[stage_]->Recv(from_stage, tag, span, free);
  }
  absl::Status SendBytes(int to_stage, const Tag& tag, std::string bytes) override {
    QueueTo(to_stage).Push(tag, std::move(bytes));
    return network_->inboxes[stage_]->status();
  }
  absl::StatusOr<std::string> ReceiveBytes(int from_stage, const Tag& tag) override {
    return network_->inboxes[stage_]->ReceiveBytes(from_stage, tag);
  }
  void Abort(const absl::Status& reason) override {
    network_->Abort(reason);
    MutexLock lock(&mutex_);
    over_ = over_.ok() ? reason : over_;
    for (auto& [stage, edge] : edges_) edge->queue().Abort(reason);
  }

 private:
  SendQueue& QueueTo(int stage) {
    MutexLock lock(&mutex_);
    std::unique_ptr<Edge>& edge = edges_[stage];
    if (edge == nullptr) {
      edge = std::make_unique<Edge>(network_, backend_, stage_, stage);
      if (!over_.ok()) edge->queue().Abort(over_);
    }
    return edge->queue();
  }

  const std::shared_ptr<Network> network_;
  kernels::Backend* const backend_;
  const int stage_;
  Mutex mutex_;
  std::map<int, std::unique_ptr<Edge>> edges_ ABSL_GUARDED_BY(mutex_);
  absl::Status over_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::vector<std::unique_ptr<Transport>> NewLoopbackTransports(
    const std::vector<kernels::Backend*>& backends, int credits) {
  auto network = std::make_shared<Network>();
  network->credits = credits;
  std::vector<std::unique_ptr<Transport>> transports;
  for (size_t stage = 0; stage < backends.size(); ++stage)
    network->inboxes.push_back(std::make_unique<Inbox>(backends[stage], stage, credits));
  for (size_t stage = 0; stage < backends.size(); ++stage) {
    transports.push_back(std::make_unique<LoopbackTransport>(network, backends[stage], stage));
  }
  return transports;
}

}  // namespace carousel
