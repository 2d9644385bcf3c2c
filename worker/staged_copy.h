// A span's content on its way to the host: the sending half of transports that go through host
// memory.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "cluster/mutex.h"
#include "kernels/backend.h"

namespace carousel {

// Thread-safe. Borrows the backend. Destroyed once every copy was handed on.
class StagedCopier {
 public:
  explicit StagedCopier(kernels::Backend* backend)
      : backend_(backend), stream_(backend->NewStream()) {}
  ~StagedCopier() { WaitUntilIdle(); }

  // Copies the span, as of `ready`, to the host and calls `then` with its bytes, or with the reason
  // why there are none. The event completes when the span may be written again, which is before
  // `then` returns what it does with them.
  kernels::Event Copy(kernels::Span span, const kernels::Event& ready,
                      std::function<void(absl::StatusOr<std::string>)> then) {
    auto bytes = std::make_shared<std::string>(span.bytes(), '\0');
    kernels::Event copied;
    {
      MutexLock lock(&mutex_);
      backend_->Wait(stream_, ready);
      backend_->CopyToHost(stream_, span, bytes->data());
      copied = backend_->Record(stream_);
    }
    Begin();
    copied.OnReady([this, bytes, then = std::move(then)](const absl::Status& status) {
      if (status.ok()) {
        then(std::move(*bytes));
      } else {
        then(status);
      }
      End();
    });
    return copied;
  }

  // Blocks until every `then` has returned: what they refer to may go.
  void WaitUntilIdle() {
    std::unique_lock<std::mutex> lock(idle_mutex_);
    idle_.wait(lock, [this] { return under_way_ == 0; });
  }

 private:
  void Begin() {
    std::lock_guard<std::mutex> lock(idle_mutex_);
    ++under_way_;
  }
  void End() {
    std::lock_guard<std::mutex> lock(idle_mutex_);
    if (--under_way_ == 0) idle_.notify_all();
  }

  kernels::Backend* const backend_;
  Mutex mutex_;
  const kernels::Stream stream_;
  std::mutex idle_mutex_;
  std::condition_variable idle_;
  int under_way_ = 0;
};

}  // namespace carousel
