#include "worker/session.h"

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/channel.h"
#include "cluster/lease.h"
#include "cluster/mutex.h"
#include "cluster/rpc_status.h"
#include "cluster/stopwatch.h"
#include "proto/coordinator.grpc.pb.h"

namespace carousel {
namespace {

constexpr auto kRetryInterval = std::chrono::milliseconds(500);
constexpr int kMaxMessageBytes = 64 << 20;  // a manifest of the largest models

using Stream = grpc::ClientReaderWriter<WorkerMessage, CoordinatorMessage>;

// Writes messages of several threads to one stream.
class Writer {
 public:
  explicit Writer(std::shared_ptr<Stream> stream) : stream_(std::move(stream)) {}

  // A failed write shows as the end of the stream.
  void Write(const WorkerMessage& message) {
    MutexLock lock(&mutex_);
    stream_->Write(message);
  }

 private:
  Mutex mutex_;
  const std::shared_ptr<Stream> stream_;
};

// Sends a heartbeat, and what the worker's log has to say, every `period` until it is destroyed.
class HeartbeatSender {
 public:
  HeartbeatSender(WorkerHost* host, Writer* writer, std::chrono::nanoseconds period)
      : thread_([this, host, writer, period] {
          while (!Stops(period)) Send(host, writer);
        }) {}
  ~HeartbeatSender() {
    {
      MutexLock lock(&mutex_);
      stopping_ = true;
    }
    changed_.NotifyAll();
    thread_.join();
  }

 private:
  static void Send(WorkerHost* host, Writer* writer) {
    WorkerMessage message;
    *message.mutable_heartbeat() = host->Progress();
    writer->Write(message);
    for (WorkerLog& line : host->TakeLog()) {
      message.mutable_log()->Swap(&line);
      writer->Write(message);
    }
  }

  // Sleeps for `period`; true if the sleep was broken off.
  bool Stops(std::chrono::nanoseconds period) {
    MutexLock lock(&mutex_);
    while (!stopping_ && changed_.WaitFor(&mutex_, period)) {
    }
    return stopping_;
  }

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

// A connection that carries nothing but pings, on the terms that the coordinator has told in its
// welcome. The session's own cannot be told any more: its terms were fixed before the welcome came.
class Pulse {
 public:
  // Begins to connect; returns at once.
  void Start(const std::string& address, const LeaseTerms& lease) {
    MutexLock lock(&mutex_);
    channel_ = OpenChannel(address, {.lease = lease});
    stop_after_ = lease.stop_after;
    connecting_.Restart();
  }

  // Why the coordinator counts as silent, or empty as long as it does not: its pings ended, or the
  // connection for them did not come about in the time after which a worker stops.
  std::string Silence() {
    MutexLock lock(&mutex_);
    if (channel_ == nullptr || !silence_.empty()) return silence_;
    const bool ready = channel_->GetState(/*try_to_connect=*/!beats_) == GRPC_CHANNEL_READY;
    if (beats_ && !ready) {
      silence_ = "it answers no pings";
    } else if (!ready && connecting_.Seconds() > stop_after_) {
      silence_ = absl::StrCat("it takes no connection for pings within ", stop_after_, " s");
    }
    beats_ = ready;
    return silence_;
  }

 private:
  Mutex mutex_;
  std::shared_ptr<grpc::Channel> channel_ ABSL_GUARDED_BY(mutex_);
  double stop_after_ ABSL_GUARDED_BY(mutex_) = 0;
  Stopwatch connecting_ ABSL_GUARDED_BY(mutex_);
  bool beats_ ABSL_GUARDED_BY(mutex_) = false;
  std::string silence_ ABSL_GUARDED_BY(mutex_);
};

// Ends the stream, in which a read waits, when the process is asked to stop, when no welcome comes
// in time, or when the pulse stops.
class Watcher {
 public:
  Watcher(grpc::ClientContext* context, Pulse* pulse, double patience,
          const std::function<bool()>& stopping)
      : patience_(patience), thread_([this, context, pulse, stopping] {
          while (!done_) {
            if (stopping() || TooLate() || !pulse->Silence().empty()) return context->TryCancel();
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
          }
        }) {}
  ~Watcher() {
    done_ = true;
    thread_.join();
  }

  void Answered() { answered_ = true; }
  bool TooLate() const { return !answered_ && waited_.Seconds() > patience_; }

 private:
  const Stopwatch waited_;
  const double patience_;
  std::atomic<bool> answered_{false}, done_{false};
  std::thread thread_;
};

// One session after the other, and what is remembered from one to the next.
class Sessions {
 public:
  Sessions(const SessionOptions& options, WorkerHost* host, Log* log,
           const std::function<bool()>& stopping)
      : options_(options), host_(host), log_(log), stopping_(stopping) {}

  absl::Status Run() {
    while (!stopping_()) {
      const Ending ending = RunOne();
      if (ending.for_good) return ending.why;
      if (stopping_()) break;
      Complain(ending);
      std::this_thread::sleep_for(kRetryInterval);
    }
    return absl::OkStatus();
  }

 private:
  struct Ending {
    absl::Status why;
    bool attached = false;
    bool for_good = false;
  };

  Ending RunOne() {
    WorkerMessage first;
    const absl::StatusOr<Hello> hello = options_.hello();
    if (!hello.ok()) return {.why = hello.status(), .for_good = true};
    *first.mutable_hello() = *hello;
    const auto stub = WorkerSession::NewStub(
        OpenChannel(options_.coordinator,
                    {.lease = TermsOf(kMostLeaseSeconds), .max_message_bytes = kMaxMessageBytes}));
    grpc::ClientContext context;
    const std::shared_ptr<Stream> stream = stub->Attach(&context);
    Pulse pulse;
    Watcher watcher(&context, &pulse, options_.patience, stopping_);
    const auto writer = std::make_shared<Writer>(stream);
    writer->Write(first);

    Ending ending;
    CoordinatorMessage message;
    const bool answered = stream->Read(&message);
    const bool too_late = !answered && watcher.TooLate();
    watcher.Answered();
    if (message.has_welcome()) {
      ending.why = options_.on_welcome(message.welcome());
      ending.attached = ending.why.ok();
      ending.for_good = !ending.attached;
      if (ending.attached) Serve(message.welcome(), stream.get(), writer, &pulse);
    } else if (answered) {
      ending.why = absl::InternalError("its first message is no welcome");
    }
    // A stream that it has ended says why; a cancellation would hide it.
    if (!ending.why.ok()) context.TryCancel();
    const absl::Status end = FromGrpcStatus(stream->Finish());
    if (!ending.why.ok()) return ending;
    ending.for_good = absl::IsFailedPrecondition(end);
    ending.why = WhyItEnded(end, pulse, too_late);
    return ending;
  }

  // What a stream's end means: those that were broken off here do not tell by themselves.
  absl::Status WhyItEnded(const absl::Status& end, Pulse& pulse, bool too_late) const {
    if (end.ok()) return absl::UnavailableError("it has ended the session");
    if (!absl::IsCancelled(end)) return end;
    if (too_late) {
      return absl::DeadlineExceededError(
          absl::StrCat("it does not answer within ", options_.patience, " s"));
    }
    const std::string silence = pulse.Silence();
    return silence.empty() ? end : absl::UnavailableError(silence);
  }

  void Serve(const Welcome& welcome, Stream* stream, const std::shared_ptr<Writer>& writer,
             Pulse* pulse) {
    const LeaseTerms lease =
        welcome.lease_seconds() > 0 ? TermsOf(welcome.lease_seconds()) : LeaseTerms();
    told_.clear();
    log_->Write(LogLevel::kInfo, "worker",
                absl::StrCat("attached to the coordinator at ", options_.coordinator));
    host_->SetSession([writer](const WorkerMessage& message) { writer->Write(message); }, lease);
    {
      const auto period = static_cast<int64_t>(lease.heartbeat_every * 1e9);
      const HeartbeatSender heartbeats(host_, writer.get(), std::chrono::nanoseconds(period));
      pulse->Start(options_.coordinator, lease);
      CoordinatorMessage message;
      while (stream->Read(&message)) host_->Handle(message);
    }
    host_->SetSession(nullptr);
    host_->Handle(SessionLost{});
  }

  void Complain(const Ending& ending) {
    const std::string why(ending.why.message());
    if (why == told_) return;
    told_ = why;
    log_->Write(
        LogLevel::kWarning, "worker",
        ending.attached
            ? absl::StrCat("lost the coordinator at ", options_.coordinator, ": ", why,
                           "; attaches again as soon as it answers")
            : absl::StrCat("cannot attach to the coordinator at ", options_.coordinator, ": ", why,
                           "; goes on trying. Is it running, and is --coordinator where it "
                           "listens?"));
  }

  const SessionOptions& options_;
  WorkerHost* const host_;
  Log* const log_;
  const std::function<bool()>& stopping_;
  std::string told_;  // why it is out of contact
};

}  // namespace

absl::Status RunSessions(const SessionOptions& options, WorkerHost* host, Log* log,
                         const std::function<bool()>& stopping) {
  return Sessions(options, host, log, stopping).Run();
}

}  // namespace carousel
