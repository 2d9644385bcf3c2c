// The workers' door: one stream a worker, read by its own thread and written by another, so that
// the coordinator never waits for a slow worker.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>

#include "cluster/mutex.h"
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
    mutable Mutex mutex_;
    CondVar changed_;
    std::deque<CoordinatorMessage> messages_ ABSL_GUARDED_BY(mutex_);
    bool closed_ ABSL_GUARDED_BY(mutex_) = false;
    std::string reason_ ABSL_GUARDED_BY(mutex_);
  };

  std::shared_ptr<Queue> Open(uint64_t* session);
  void Forget(uint64_t session);
  void CloseAll(std::string_view reason);

  void Send(uint64_t session, CoordinatorMessage message) override;
  void Close(uint64_t session, std::string_view reason) override;

 private:
  std::shared_ptr<Queue> Find(uint64_t session);

  Mutex mutex_;
  uint64_t last_session_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, std::shared_ptr<Queue>> queues_ ABSL_GUARDED_BY(mutex_);
};

class SessionService : public WorkerSession::Service {
 public:
  // Both outlive the service.
  SessionService(LockedCore* core, SessionOutbox* outbox) : core_(core), outbox_(outbox) {}

  grpc::Status Attach(grpc::ServerContext* context,
                      grpc::ServerReaderWriter<CoordinatorMessage, WorkerMessage>* stream) override;

 private:
  LockedCore* const core_;
  SessionOutbox* const outbox_;
};

}  // namespace carousel
