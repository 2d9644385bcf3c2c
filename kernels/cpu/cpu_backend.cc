// The CPU backend: an operation runs when it is enqueued.

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/backend.h"
#include "kernels/check.h"
#include "kernels/cpu/paths.h"
#include "kernels/mutex.h"

namespace carousel::kernels {
namespace {

class CpuBackend : public Backend {
 public:
  CpuBackend(Isa isa, int threads) : isa_(isa), context_(threads) {}

  absl::StatusOr<Buffer> Allocate(int64_t bytes) override {
    const int64_t rounded = (std::max<int64_t>(bytes, 1) + 63) / 64 * 64;
    auto* memory = static_cast<std::byte*>(std::aligned_alloc(64, rounded));
    if (memory == nullptr) {
      return absl::ResourceExhaustedError(
          absl::StrCat("no memory for a buffer of ", bytes, " bytes"));
    }
    std::memset(memory, 0, rounded);
    return Buffer(std::shared_ptr<std::byte>(memory, std::free), bytes);
  }

  Stream NewStream() override {
    MutexLock lock(&state_);
    const auto unused =
        std::find_if(streams_.begin(), streams_.end(), [](const auto& s) { return !s.taken; });
    const Stream stream = static_cast<Stream>(unused - streams_.begin());
    if (unused == streams_.end()) streams_.emplace_back();
    streams_[stream] = {.taken = true};
    return stream;
  }

  // Nothing to wait for: what was enqueued has run.
  void FreeStream(Stream stream) override {
    MutexLock lock(&state_);
    TakenStream(stream) = {};
  }

  void Enqueue(Stream stream, const Op& op) override {
    if (!Failure(stream).ok()) return;
    MutexLock lock(&operation_);
    SetFloatingPointMode();
    std::visit(OnPath{isa_, context_}, op);
    CheckFloatingPointMode();
  }

  void CopyToDevice(Stream stream, const void* host, Span device) override {
    if (!Failure(stream).ok()) return;
    std::memcpy(device.address() + internal::address_bias, host, device.bytes());
  }

  void CopyToHost(Stream stream, Span device, void* host) override {
    if (!Failure(stream).ok()) return;
    std::memcpy(host, device.address() + internal::address_bias, device.bytes());
  }

  Event Record(Stream stream) override {
    const absl::Status failure = Failure(stream);
    if (failure.ok()) return Event();
    Event failed = Event::Pending();
    failed.Complete(failure);
    return failed;
  }

  void Wait(Stream stream, const Event& event) override {
    const absl::Status outcome = event.Wait();
    MutexLock lock(&state_);
    TakenStream(stream).failure.Update(outcome);
  }

 private:
  struct StreamState {
    bool taken = false;
    absl::Status failure;
  };

  // Runs an operation.
  struct OnPath {
    void operator()(const std::monostate&) const {}
    template <class OpType>
    void operator()(const OpType& op) const {
      RunOn(isa, context, op);
    }

    Isa isa;
    Context& context;
  };

  absl::Status Failure(Stream stream) {
    MutexLock lock(&state_);
    return TakenStream(stream).failure;
  }

  StreamState& TakenStream(Stream stream) ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_) {
    KERNEL_CHECK(stream >= 0 && stream < static_cast<Stream>(streams_.size()));
    KERNEL_CHECK(streams_[stream].taken);
    return streams_[stream];
  }

  const Isa isa_;
  Mutex operation_;  // streams take turns with the helpers and scratch memory of context_
  Context context_ ABSL_GUARDED_BY(operation_);
  Mutex state_;
  std::vector<StreamState> streams_ ABSL_GUARDED_BY(state_);  // by number
};

}  // namespace

std::unique_ptr<Backend> NewCpuBackend(Isa isa, int threads) {
  return std::make_unique<CpuBackend>(isa, threads);
}

absl::StatusOr<std::unique_ptr<Backend>> NewBackend(const std::string& name, int threads) {
  absl::StatusOr<Isa> isa = ChooseIsa();
  if (!isa.ok()) return isa.status();
  if (name == "cpu") return NewCpuBackend(*isa, threads);
  if (name == "test") return NewTestBackend(*isa, threads);
  return absl::InvalidArgumentError(
      absl::StrCat("backend \"", name, "\" is not one of: cpu, test"));
}

}  // namespace carousel::kernels
