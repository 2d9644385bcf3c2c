// A span's content on its way to the host: the sending half of transports that go through host
// memory.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "cluster/mutex.h"
#include "kernels/backend.h"

namespace carousel {

// Thread-safe. Borrows the backend.
class StagedCopier {
 public:
  explicit StagedCopier(kernels::Backend* backend)
      : backend_(backend), stream_(backend->NewStream()) {}

  // Copies the span, as of `ready`, to the host and calls `then` with its bytes. The event
  // completes when the span may be written again, which is before `then` returns what it does with
  // them.
  kernels::Event Copy(kernels::Span span, const kernels::Event& ready,
                      std::function<void(std::string)> then) {
    auto bytes = std::make_shared<std::string>(span.bytes(), '\0');
    kernels::Event copied;
    {
      MutexLock lock(&mutex_);
      backend_->Wait(stream_, ready);
      backend_->CopyToHost(stream_, span, bytes->data());
      copied = backend_->Record(stream_);
    }
    copied.OnReady([bytes, then = std::move(then)](const absl::Status& status) {
      if (status.ok()) then(std::move(*bytes));
    });
    return copied;
  }

 private:
  kernels::Backend* const backend_;
  Mutex mutex_;
  const kernels::Stream stream_;
};

}  // namespace carousel
