// Backend: one of the four doors to the world. Memory, streams and the table of operations of one
// kind of device.
//
// An operation is enqueued on a stream; operations of one stream run in order, and what they read
// must stay in place until they have run. The CPU backend runs an operation at once, on the calling
// thread and its helpers; CUDA will run it later; the test backend runs it late, on another thread,
// over memory that faults when the host touches it, which proves on any machine that no caller
// cheats.
//
// A stream that has waited for a failed event has failed: it runs nothing more, and every event
// recorded on it completes with that error.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/event.h"
#include "kernels/isa.h"
#include "kernels/op.h"
#include "kernels/span.h"

namespace carousel::kernels {

// Device memory, given back when the last copy goes. The first byte is aligned to 64, the content
// starts as zeros.
class Buffer {
 public:
  Buffer() = default;
  Buffer(std::shared_ptr<std::byte> memory, int64_t bytes)
      : memory_(std::move(memory)), bytes_(bytes) {}

  // The whole buffer as elements of `dtype`.
  Span As(DType dtype) const { return Span(memory_.get(), dtype, bytes_ / SizeOf(dtype)); }
  int64_t bytes() const { return bytes_; }

 private:
  std::shared_ptr<std::byte> memory_;
  int64_t bytes_ = 0;
};

// An ordered queue of a backend, named by number. It lives until it is given back, at most as long
// as its backend.
using Stream = int;

// One stream is used by one thread at a time; different streams and Allocate may be used by
// different threads. Outlives its buffers.
class Backend {
 public:
  virtual ~Backend() = default;

  // kResourceExhausted with the size asked for when the device is full.
  virtual absl::StatusOr<Buffer> Allocate(int64_t bytes) = 0;

  virtual Stream NewStream() = 0;

  // Gives a stream back, for good: waits until everything enqueued on it has run, then the number
  // may be another stream's. So what the stream waits for must come, or fail; and the end of its
  // own work (Event::OnReady) is no place to call this from.
  virtual void FreeStream(Stream stream) = 0;

  virtual void Enqueue(Stream stream, const Op& op) = 0;

  // Copies between host memory, which must stay in place until the stream has passed this point,
  // and the device.
  virtual void CopyToDevice(Stream stream, const void* host, Span device) = 0;
  virtual void CopyToHost(Stream stream, Span device, void* host) = 0;

  // Completes when everything enqueued so far has run.
  virtual Event Record(Stream stream) = 0;

  // What is enqueued from now on runs after `event`.
  virtual void Wait(Stream stream, const Event& event) = 0;
};

// A stream that is given back when its owner goes, with FreeStream's wait. Must not outlive the
// backend.
class OwnedStream {
 public:
  explicit OwnedStream(Backend* backend) : backend_(backend), stream_(backend->NewStream()) {}
  ~OwnedStream() {
    if (backend_ != nullptr) backend_->FreeStream(stream_);
  }
  OwnedStream(OwnedStream&& other) noexcept
      : backend_(std::exchange(other.backend_, nullptr)), stream_(other.stream_) {}
  OwnedStream& operator=(OwnedStream&& other) noexcept {
    std::swap(backend_, other.backend_);
    std::swap(stream_, other.stream_);
    return *this;
  }

  Stream get() const { return stream_; }

 private:
  Backend* backend_;  // nullptr after a move: nothing to give back
  Stream stream_;
};

// `threads` >= 1 threads work on one operation. They split output elements, never sums: their
// number changes no bit.
std::unique_ptr<Backend> NewCpuBackend(Isa isa, int threads);

// Runs the CPU backend's operations late, on a thread of its own; its addresses fault when the host
// touches them.
std::unique_ptr<Backend> NewTestBackend(Isa isa, int threads);

// "cpu" or "test", as on a command line. kInvalidArgument names the choices.
absl::StatusOr<std::unique_ptr<Backend>> NewBackend(const std::string& name, int threads);

}  // namespace carousel::kernels
