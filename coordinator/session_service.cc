#include "coordinator/session_service.h"

#include <thread>
#include <utility>

#include "cluster/rpc_status.h"

namespace carousel {

bool SessionOutbox::Queue::Pop(CoordinatorMessage* message) {
  MutexLock lock(&mutex_);
  while (!closed_ && messages_.empty()) changed_.Wait(&mutex_);
  if (messages_.empty()) return false;
  *message = std::move(messages_.front());
  messages_.pop_front();
  return true;
}

void SessionOutbox::Queue::Push(CoordinatorMessage message) {
  MutexLock lock(&mutex_);
  if (closed_) return;
  messages_.push_back(std::move(message));
  changed_.NotifyAll();
}

void SessionOutbox::Queue::Close(std::string_view reason) {
  MutexLock lock(&mutex_);
  if (closed_) return;
  closed_ = true;
  reason_ = reason;
  changed_.NotifyAll();
}

std::string SessionOutbox::Queue::reason() const {
  MutexLock lock(&mutex_);
  return reason_;
}

std::shared_ptr<SessionOutbox::Queue> SessionOutbox::Open(uint64_t* session) {
  MutexLock lock(&mutex_);
  *session = ++last_session_;
  return queues_[*session] = std::make_shared<Queue>();
}

void SessionOutbox::Forget(uint64_t session) {
  MutexLock lock(&mutex_);
  queues_.erase(session);
}

void SessionOutbox::CloseAll(std::string_view reason) {
  MutexLock lock(&mutex_);
  for (auto& [session, queue] : queues_) queue->Close(reason);
}

std::shared_ptr<SessionOutbox::Queue> SessionOutbox::Find(uint64_t session) {
  MutexLock lock(&mutex_);
  const auto it = queues_.find(session);
  return it == queues_.end() ? nullptr : it->second;
}

void SessionOutbox::Send(uint64_t session, CoordinatorMessage message) {
  if (auto queue = Find(session)) queue->Push(std::move(message));
}

void SessionOutbox::Close(uint64_t session, std::string_view reason) {
  if (auto queue = Find(session)) queue->Close(reason);
}

grpc::Status SessionService::Attach(
    grpc::ServerContext* context,
    grpc::ServerReaderWriter<CoordinatorMessage, WorkerMessage>* stream) {
  WorkerMessage message;
  if (!stream->Read(&message) || !message.has_hello()) {
    return ToGrpcStatus(absl::InvalidArgumentError("a session begins with Hello"));
  }
  uint64_t session = 0;
  const std::shared_ptr<SessionOutbox::Queue> queue = outbox_->Open(&session);
  const absl::Status joined =
      core_->With([&](CoordinatorCore& core) { return core.Join(session, message.hello()); });
  if (!joined.ok()) {
    outbox_->Forget(session);
    return ToGrpcStatus(joined);
  }
  std::thread writer([&] {
    CoordinatorMessage out;
    while (queue->Pop(&out) && stream->Write(out)) {
    }
    context->TryCancel();  // wakes the reader, if it is us who end the session
  });
  while (stream->Read(&message)) {
    core_->With([&](CoordinatorCore& core) { core.Receive(session, message); });
  }
  queue->Close("its connection closed");
  writer.join();
  outbox_->Forget(session);
  core_->With([&](CoordinatorCore& core) { core.Lose(session, queue->reason()); });
  return ToGrpcStatus(absl::UnavailableError("the session is over: " + queue->reason()));
}

}  // namespace carousel
