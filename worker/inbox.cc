#include "worker/inbox.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

namespace carousel {

using kernels::Event;
using kernels::Span;

Inbox::Inbox(kernels::Backend* backend, int stage) : backend_(backend), stage_(stage) {}

void Inbox::Deliver(int from_stage, const Tag& tag, std::string bytes,
                    std::function<void()> consumed) {
  {
    MutexLock lock(&mutex_);
    if (!failure_.ok()) return;
    edges_[from_stage].arrived.push_back({tag, std::move(bytes), std::move(consumed)});
  }
  Match(from_stage);
}

Event Inbox::Recv(int from_stage, const Tag& tag, Span span, const Event& free) {
  Wish wish = {.tag = tag, .span = span, .free = free, .done = Event::Pending()};
  Event done = wish.done;
  Post(from_stage, std::move(wish));
  return done;
}

absl::StatusOr<std::string> Inbox::ReceiveBytes(int from_stage, const Tag& tag) {
  std::string record;
  Wish wish = {.tag = tag, .record = &record, .done = Event::Pending()};
  const Event done = wish.done;
  Post(from_stage, std::move(wish));
  if (absl::Status status = done.Wait(); !status.ok()) return status;
  return record;
}

void Inbox::Post(int from_stage, Wish wish) {
  absl::Status failure;
  {
    MutexLock lock(&mutex_);
    failure = failure_;
    if (failure.ok()) edges_[from_stage].wished.push_back(wish);
  }
  if (!failure.ok()) {
    wish.done.Complete(failure);
    return;
  }
  Match(from_stage);
}

void Inbox::Match(int from_stage) {
  while (true) {
    Arrival arrival;
    Wish wish;
    kernels::Stream stream;
    {
      MutexLock lock(&mutex_);
      Edge& edge = edges_[from_stage];
      if (!failure_.ok() || edge.arrived.empty() || edge.wished.empty()) return;
      if (edge.stream < 0) edge.stream = backend_->NewStream();
      stream = edge.stream;
      arrival = std::move(edge.arrived.front());
      wish = std::move(edge.wished.front());
      edge.arrived.pop_front();
      edge.wished.pop_front();
    }
    if (absl::Status status = Check(from_stage, arrival, wish); !status.ok()) {
      wish.done.Complete(status);
      Abort(status);
      return;
    }
    Complete(stream, std::move(arrival), std::move(wish));
  }
}

absl::Status Inbox::Check(int from_stage, const Arrival& arrival, const Wish& wish) const {
  if (!(arrival.tag == wish.tag)) {
    return absl::DataLossError(absl::StrCat("stage ", stage_, " expected ", wish.tag.ToString(),
                                            " from stage ", from_stage, " and got ",
                                            arrival.tag.ToString()));
  }
  if (wish.record == nullptr && static_cast<int64_t>(arrival.bytes.size()) != wish.span.bytes()) {
    return absl::DataLossError(absl::StrCat(
        "stage ", stage_, ": ", wish.tag.ToString(), " from stage ", from_stage, " has ",
        arrival.bytes.size(), " bytes where the plan says ", wish.span.bytes()));
  }
  return absl::OkStatus();
}

void Inbox::Complete(kernels::Stream stream, Arrival arrival, Wish wish) {
  if (wish.record != nullptr) {
    *wish.record = std::move(arrival.bytes);
    arrival.consumed();
    wish.done.Complete();
    return;
  }
  auto held = std::make_shared<Arrival>(std::move(arrival));  // until the device has it
  Event copied;
  {
    MutexLock lock(&copy_mutex_);
    backend_->Wait(stream, wish.free);
    backend_->CopyToDevice(stream, held->bytes.data(), wish.span);
    copied = backend_->Record(stream);
  }
  copied.OnReady([held, done = wish.done](const absl::Status& status) mutable {
    held->consumed();
    done.Complete(status);
  });
}

void Inbox::Abort(const absl::Status& reason) {
  std::map<int, Edge> edges;
  {
    MutexLock lock(&mutex_);
    if (!failure_.ok()) return;
    failure_ = reason;
    edges.swap(edges_);
  }
  for (auto& [from, edge] : edges) {
    for (Wish& wish : edge.wished) wish.done.Complete(reason);
  }
}

absl::Status Inbox::status() const {
  MutexLock lock(&mutex_);
  return failure_;
}

}  // namespace carousel
