// The workers' door: one stream a worker, read by its own thread and written by another, so that
// the coordinator never waits for a slow worker.
#pragma once

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "coordinator/core.h"
#include "coordinator/locked_core.h"
#include "proto/coordinator.grpc.pb.h"

namespace carousel {

// What waits to be written to each session. Thread-safe; never calls the coordinator.
class SessionOutbox : public Outbox {
 public:
  // Messages of one session, in order, until it is closed.
  class Queue {
   public:
    bool Pop(CoordinatorMessage* message);  // waits; false once closed and empty
    void Push(CoordinatorMessage message);
    void Close(std::string_view reason);
    std::string reason() const;

   private:
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<CoordinatorMessage> messages_;
    bool closed_ = false;
    std::string reason_;
  };

  std::shared_ptr<Queue> Open(uint64_t* session);
  void Forget(uint64_t session);
  void CloseAll(std::string_view reason);

  void Send(uint64_t session, CoordinatorMessage message) override;
  void Close(uint64_t session, std::string_view reason) override;

 private:
  std::shared_ptr<Queue> Find(uint64_t session);

  std::mutex mutex_;
  uint64_t last_session_ = 0;
  std::map<uint64_t, std::shared_ptr<Queue>> queues_;
};

class SessionService : public WorkerSession::Service {
 public:
  // Both outlive the service.
  SessionService(LockedCore* coordinator, SessionOutbox* outbox)
      : coordinator_(coordinator), outbox_(outbox) {}

  grpc::Status Attach(grpc::ServerContext* context,
                      grpc::ServerReaderWriter<CoordinatorMessage, WorkerMessage>* stream) override;

 private:
  LockedCore* const coordinator_;
  SessionOutbox* const outbox_;
};

}  // namespace carousel
