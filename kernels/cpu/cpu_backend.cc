// The CPU backend: an operation runs when it is enqueued.

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/backend.h"
#include "kernels/check.h"
#include "kernels/cpu/run.h"

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
    std::lock_guard<std::mutex> lock(state_);
    failure_.emplace_back();
    return static_cast<Stream>(failure_.size()) - 1;
  }

  void Enqueue(Stream stream, const Op& op) override {
    if (!Failure(stream).ok()) return;
    std::lock_guard<std::mutex> lock(operation_);
    SetFloatingPointMode();
    std::visit([this](const auto& alternative) { Dispatch(alternative); }, op);
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
    std::lock_guard<std::mutex> lock(state_);
    failure_[stream].Update(outcome);
  }

 private:
  absl::Status Failure(Stream stream) {
    std::lock_guard<std::mutex> lock(state_);
    return failure_[stream];
  }

  void Dispatch(const std::monostate&) {}

  template <class OpType>
  void Dispatch(const OpType& op) {
    switch (isa_) {
      case Isa::kAvx512:
        return avx512::Run(context_, op);
      case Isa::kAvx2:
        return avx2::Run(context_, op);
      case Isa::kScalar:
        return scalar::Run(context_, op);
    }
  }

  const Isa isa_;
  std::mutex operation_;  // streams take turns with the helpers and scratch memory of context_
  Context context_;
  std::mutex state_;
  std::vector<absl::Status> failure_;  // by stream
};

bool Supports(Isa isa) {
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (isa != Isa::kAvx512) return avx2;
  return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
}

constexpr std::pair<const char*, Isa> kNames[] = {
    {"avx512", Isa::kAvx512}, {"avx2", Isa::kAvx2}, {"scalar", Isa::kScalar}};

}  // namespace

std::string IsaName(Isa isa) {
  for (const auto& [name, value] : kNames) {
    if (value == isa) return name;
  }
  return "";
}

absl::StatusOr<Isa> ChooseIsa() {
  if (!Supports(Isa::kAvx2)) {
    return absl::FailedPreconditionError(
        "this processor lacks AVX2 and FMA (x86-64-v3), which every path needs; run the worker on "
        "a newer machine");
  }
  const char* wish = std::getenv("CAROUSEL_ISA");
  if (wish == nullptr || *wish == '\0') return Supports(Isa::kAvx512) ? Isa::kAvx512 : Isa::kAvx2;
  for (const auto& [name, isa] : kNames) {
    if (std::strcmp(wish, name) != 0) continue;
    if (Supports(isa)) return isa;
    return absl::FailedPreconditionError(
        absl::StrCat("CAROUSEL_ISA=", wish,
                     ": this processor lacks it; unset the variable to take its fastest path"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("CAROUSEL_ISA=\"", wish, "\" is not one of: avx512, avx2, scalar"));
}

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
