#include "worker/send_queue.h"

#include <utility>

namespace carousel {

using kernels::Event;
using kernels::Span;

Event SendQueue::Push(const Tag& tag, Span span, const Event& ready) {
  Event sent = Event::Pending();
  absl::Status over;
  {
    MutexLock lock(&mutex_);
    over = over_;
    if (over.ok()) items_.push_back({{.tag = tag}, span, ready, sent});
    changed_.NotifyAll();
  }
  if (!over.ok()) sent.Complete(over);
  return sent;
}

void SendQueue::Push(const Tag& tag, std::string record) {
  MutexLock lock(&mutex_);
  if (over_.ok()) items_.push_back({{tag, std::move(record)}, std::nullopt, Event(), Event()});
  changed_.NotifyAll();
}

void SendQueue::AddCredits(int tensors) {
  MutexLock lock(&mutex_);
  credits_ += tensors;
  changed_.NotifyAll();
}

absl::StatusOr<SendQueue::Parcel> SendQueue::Take() {
  std::optional<Item> item = WaitForItem();
  if (item.has_value() && item->span.has_value()) {
    const absl::Status copied = CopyToHost(*item);
    {
      MutexLock lock(&mutex_);
      copying_ = false;
      changed_.NotifyAll();
    }
    item->sent.Complete(copied);
    if (!copied.ok()) return copied;
  }
  if (absl::Status over = WaitForCredit(); !over.ok()) return over;
  return std::move(item->parcel);
}

std::optional<SendQueue::Item> SendQueue::WaitForItem() {
  MutexLock lock(&mutex_);
  while (over_.ok() && items_.empty()) changed_.Wait(&mutex_);
  if (!over_.ok()) return std::nullopt;
  Item item = std::move(items_.front());
  items_.pop_front();
  copying_ = item.span.has_value();
  return item;
}

absl::Status SendQueue::CopyToHost(Item& item) {
  item.parcel.bytes.resize(item.span->bytes());
  backend_->Wait(stream_.get(), item.ready);
  backend_->CopyToHost(stream_.get(), *item.span, item.parcel.bytes.data());
  return backend_->Record(stream_.get()).Wait();
}

absl::Status SendQueue::WaitForCredit() {
  MutexLock lock(&mutex_);
  while (over_.ok() && credits_ == 0) changed_.Wait(&mutex_);
  if (over_.ok()) --credits_;
  return over_;
}

void SendQueue::Abort(const absl::Status& reason) {
  std::deque<Item> items;
  {
    MutexLock lock(&mutex_);
    if (!over_.ok()) return;
    over_ = reason;
    items.swap(items_);
    changed_.NotifyAll();
  }
  for (Item& item : items) {
    if (item.span.has_value()) item.sent.Complete(reason);
  }
}

void SendQueue::WaitUntilIdle() {
  MutexLock lock(&mutex_);
  while (copying_) changed_.Wait(&mutex_);
}

}  // namespace carousel
