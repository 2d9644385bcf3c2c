// The test backend: a CPU that behaves like a device. Its memory is mapped twice, once at the
// addresses that it hands out, where every access faults, and once where its operations work.
// Operations run late, on a thread of their stream.

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/backend.h"
#include "kernels/check.h"

namespace carousel::kernels {
namespace {

constexpr int64_t kPage = 4096;
constexpr int64_t kDeviceBytes = int64_t{64}
                                 << 30;  // of address space; pages are taken when touched

// Two views of one anonymous file. Addresses are never used twice, so that a stale span cannot hit
// a newer buffer.
class DeviceMemory {
 public:
  DeviceMemory() : file_(memfd_create("carousel-test-device", MFD_CLOEXEC)) {
    KERNEL_CHECK(file_ >= 0 && ftruncate(file_, kDeviceBytes) == 0);
    visible_ = Map(PROT_NONE);
    working_ = Map(PROT_READ | PROT_WRITE);
  }
  ~DeviceMemory() {
    munmap(visible_, kDeviceBytes);
    munmap(working_, kDeviceBytes);
    close(file_);
  }

  ptrdiff_t bias() const { return working_ - visible_; }

  // nullptr when the address space is used up.
  std::byte* Take(int64_t bytes) {
    std::lock_guard<std::mutex> lock(mutex_);
    const int64_t rounded = (std::max<int64_t>(bytes, 1) + kPage - 1) / kPage * kPage;
    if (used_ + rounded > kDeviceBytes) return nullptr;
    std::byte* address = visible_ + used_;
    used_ += rounded;
    return address;
  }

  void Give(std::byte* address, int64_t bytes) {
    fallocate(file_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, address - visible_,
              (std::max<int64_t>(bytes, 1) + kPage - 1) / kPage * kPage);
  }

 private:
  std::byte* Map(int protection) {
    void* view = mmap(nullptr, kDeviceBytes, protection, MAP_SHARED | MAP_NORESERVE, file_, 0);
    KERNEL_CHECK(view != MAP_FAILED);
    return static_cast<std::byte*>(view);
  }

  int file_;
  std::byte* visible_;
  std::byte* working_;
  std::mutex mutex_;
  int64_t used_ = 0;
};

// Runs what it is given in order, on its own thread, each a moment late.
class LateQueue {
 public:
  LateQueue() : thread_([this] { Run(); }) {}
  ~LateQueue() {
    Push(nullptr);
    thread_.join();
  }

  void Push(std::function<void()> work) {
    std::lock_guard<std::mutex> lock(mutex_);
    work_.push_back(std::move(work));
    ready_.notify_one();
  }

 private:
  void Run() {
    while (true) {
      std::function<void()> work;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        ready_.wait(lock, [this] { return !work_.empty(); });
        work = std::move(work_.front());
        work_.pop_front();
      }
      if (work == nullptr) return;
      std::this_thread::sleep_for(std::chrono::microseconds(5));
      work();
    }
  }

  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::function<void()>> work_;
  std::thread thread_;
};

class TestBackend : public Backend {
 public:
  TestBackend(Isa isa, int threads) : cpu_(NewCpuBackend(isa, threads)) {}

  absl::StatusOr<Buffer> Allocate(int64_t bytes) override {
    std::byte* address = memory_->Take(bytes);
    if (address == nullptr) {
      return absl::ResourceExhaustedError(
          absl::StrCat("no memory for a buffer of ", bytes, " bytes"));
    }
    auto give_back = [memory = memory_, bytes](std::byte* a) { memory->Give(a, bytes); };
    return Buffer(std::shared_ptr<std::byte>(address, give_back), bytes);
  }

  Stream NewStream() override {
    std::lock_guard<std::mutex> lock(mutex_);
    queues_.push_back(std::make_unique<LateQueue>());
    return cpu_->NewStream();  // numbered alike
  }

  void Enqueue(Stream stream, const Op& op) override {
    Late(stream, [this, stream, op] { cpu_->Enqueue(stream, op); });
  }
  void CopyToDevice(Stream stream, const void* host, Span device) override {
    Late(stream, [this, stream, host, device] { cpu_->CopyToDevice(stream, host, device); });
  }
  void CopyToHost(Stream stream, Span device, void* host) override {
    Late(stream, [this, stream, host, device] { cpu_->CopyToHost(stream, device, host); });
  }

  Event Record(Stream stream) override {
    Event event = Event::Pending();
    QueueOf(stream).Push([this, stream, event]() mutable {
      cpu_->Record(stream).OnReady([&](const absl::Status& status) { event.Complete(status); });
    });
    return event;
  }

  void Wait(Stream stream, const Event& event) override {
    QueueOf(stream).Push([this, stream, event] { cpu_->Wait(stream, event); });
  }

 private:
  LateQueue& QueueOf(Stream stream) {
    std::lock_guard<std::mutex> lock(mutex_);
    return *queues_[stream];
  }

  void Late(Stream stream, std::function<void()> work) {
    QueueOf(stream).Push([this, work = std::move(work)] {
      internal::address_bias = memory_->bias();
      work();
      internal::address_bias = 0;
    });
  }

  std::shared_ptr<DeviceMemory> memory_ = std::make_shared<DeviceMemory>();
  std::unique_ptr<Backend> cpu_;
  std::mutex mutex_;
  std::deque<std::unique_ptr<LateQueue>> queues_;  // last: their threads use everything above
};

}  // namespace

std::unique_ptr<Backend> NewTestBackend(Isa isa, int threads) {
  return std::make_unique<TestBackend>(isa, threads);
}

}  // namespace carousel::kernels
