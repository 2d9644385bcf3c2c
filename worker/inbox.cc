#include "worker/inbox.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace carousel {

using kernels::Event;
using kernels::Span;

Inbox::Inbox(kernels::Backend* backend, int stage, int credits)
    : backend_(backend), stage_(stage), credits_(credits) {}

void Inbox::Deliver(int from_stage, const Tag& tag, std::string bytes,
                    std::function<void()> consumed) {
  bool room = true;
  {
    MutexLock lock(&mutex_);
    if (!failure_.ok()) return;
    Edge& edge = edges_[from_stage];
    room = ++*edge.held <= credits_;
    if (room) edge.arrived.push_back({tag, std::move(bytes), std::move(consumed), edge.held});
  }
  if (room) return Match(from_stage);
  Abort(absl::ResourceExhaustedError(
      absl::StrCat("stage ", from_stage, " sent ", tag.ToString(), " to stage ", stage_,
                   " without a credit; there is room for ", credits_)));
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

std::optional<Inbox::Pair> Inbox::TakePair(int from_stage) {
  MutexLock lock(&mutex_);
  Edge& edge = edges_[from_stage];
  if (!failure_.ok() || edge.arrived.empty() || edge.wished.empty()) return std::nullopt;
  Pair pair = {std::move(edge.arrived.front()), std::move(edge.wished.front())};
  edge.arrived.pop_front();
  edge.wished.pop_front();
  return pair;
}

void Inbox::Match(int from_stage) {
  while (true) {
    std::shared_ptr<Pair> pair;  // its bytes stay until the device has them
    absl::Status wrong;
    Event copied;
    {
      MutexLock lock(&order_mutex_);
      std::optional<Pair> taken = TakePair(from_stage);
      if (!taken.has_value()) return;
      pair = std::make_shared<Pair>(*std::move(taken));
      wrong = Check(from_stage, pair->arrival, pair->wish);
      if (wrong.ok()) copied = Copy(from_stage, *pair);
    }
    if (!wrong.ok()) {
      pair->wish.done.Complete(wrong);
      Abort(wrong);
      return;
    }
    copied.OnReady([pair](const absl::Status& status) {
      --*pair->arrival.held;
      pair->arrival.consumed();
      pair->wish.done.Complete(status);
    });
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

Event Inbox::Copy(int from_stage, const Pair& pair) {
  const auto& [arrival, wish] = pair;
  if (wish.record != nullptr) {
    *wish.record = arrival.bytes;
    return Event();
  }
  const kernels::Stream stream = streams_.try_emplace(from_stage, backend_).first->second.get();
  backend_->Wait(stream, wish.free);
  backend_->CopyToDevice(stream, arrival.bytes.data(), wish.span);
  return backend_->Record(stream);
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
  aborted_.Complete(reason);
}

void Inbox::WaitUntilIdle() {
  MutexLock lock(&order_mutex_);
  for (const auto& [from, stream] : streams_) backend_->Record(stream.get()).Wait().IgnoreError();
}

absl::Status Inbox::status() const {
  MutexLock lock(&mutex_);
  return failure_;
}

}  // namespace carousel
