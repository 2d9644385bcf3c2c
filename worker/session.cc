#include "worker/session.h"

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/status_macros.h"
#include "proto/coordinator.grpc.pb.h"

namespace carousel {
namespace {

constexpr auto kHeartbeatInterval = std::chrono::milliseconds(500);
constexpr auto kRetryInterval = std::chrono::milliseconds(500);

using Stream = grpc::ClientReaderWriter<WorkerMessage, CoordinatorMessage>;

std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 1000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetMaxReceiveMessageSize(64 << 20);  // a manifest of the largest models
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

// Sends heartbeats until it is destroyed. Writes of one stream are made one at a time, under
// `write_mutex`.
class HeartbeatSender {
 public:
  HeartbeatSender(const WorkerHost* host, std::function<void(const WorkerMessage&)> send)
      : thread_([this, host, send = std::move(send)] {
          std::unique_lock<std::mutex> lock(mutex_);
          while (!stopped_.wait_for(lock, kHeartbeatInterval, [this] { return stopping_; })) {
            WorkerMessage message;
            *message.mutable_heartbeat() = host->Progress();
            send(message);
          }
        }) {}
  ~HeartbeatSender() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    stopped_.notify_all();
    thread_.join();
  }

 private:
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stopping_ = false;
  std::thread thread_;
};

// Ends the stream when the process is asked to stop while a read waits.
class StopWatcher {
 public:
  StopWatcher(grpc::ClientContext* context, const std::function<bool()>& stopping)
      : thread_([this, context, stopping] {
          while (!done_) {
            if (stopping()) return context->TryCancel();
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
          }
        }) {}
  ~StopWatcher() {
    done_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> done_{false};
  std::thread thread_;
};

absl::Status RunSession(const SessionOptions& options, WorkerHost* host, Log* log,
                        const std::function<bool()>& stopping) {
  auto stub = WorkerSession::NewStub(Connect(options.coordinator));
  grpc::ClientContext context;
  std::shared_ptr<Stream> stream = stub->Attach(&context);
  const StopWatcher watcher(&context, stopping);

  auto write_mutex = std::make_shared<std::mutex>();
  auto send = [stream, write_mutex](const WorkerMessage& message) {
    std::lock_guard<std::mutex> lock(*write_mutex);
    stream->Write(message);  // a failed write shows as the end of the stream
  };
  WorkerMessage hello;
  *hello.mutable_hello() = options.hello;
  send(hello);

  CoordinatorMessage message;
  absl::Status refused;
  if (stream->Read(&message) && message.has_welcome()) {
    refused = options.on_welcome(message.welcome());
    if (refused.ok()) {
      log->Write(LogLevel::kInfo, "worker",
                 absl::StrCat("attached to the coordinator at ", options.coordinator));
      host->SetSender(send);
      const HeartbeatSender heartbeats(host, send);
      while (stream->Read(&message)) host->Handle(message);
    }
    host->SetSender(nullptr);
    host->Handle(SessionLost{});
  }
  if (!refused.ok())
    context.TryCancel();  // else the coordinator has ended it, and a cancellation would hide why
  const grpc::Status status = stream->Finish();
  CAROUSEL_RETURN_IF_ERROR(refused);
  if (status.error_code() == grpc::StatusCode::FAILED_PRECONDITION)
    return absl::FailedPreconditionError(status.error_message());
  return absl::OkStatus();
}

}  // namespace

absl::Status RunSessions(const SessionOptions& options, WorkerHost* host, Log* log,
                         const std::function<bool()>& stopping) {
  while (!stopping()) {
    CAROUSEL_RETURN_IF_ERROR(RunSession(options, host, log, stopping));
    if (!stopping()) std::this_thread::sleep_for(kRetryInterval);
  }
  return absl::OkStatus();
}

}  // namespace carousel
