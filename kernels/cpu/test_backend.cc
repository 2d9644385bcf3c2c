// The test backend: a CPU that behaves like a device. Its memory is mapped twice, once at the
// addresses that it hands out, where every access faults, and once where its operations work.
// Operations run late, on a thread of their stream.

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/backend.h"
#include "kernels/check.h"
#include "kernels/mutex.h"

namespace carousel::kernels {
namespace {

constexpr int64_t kPage = 4096;
// Of address space; pages are taken when touched.
constexpr int64_t kDeviceBytes = int64_t{64} << 30;

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
    MutexLock lock(&mutex_);
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
  Mutex mutex_;
  int64_t used_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Runs what it is given in order, on its own thread, each a moment late. Its end waits for all.
class LateQueue {
 public:
  LateQueue() : thread_([this] { Run(); }) {}
  ~LateQueue() {
    Push(nullptr);
    thread_.join();
  }

  void Push(std::function<void()> work) {
    MutexLock lock(&mutex_);
    work_.push_back(std::move(work));
    ready_.NotifyOne();
  }

 private:
  void Run() {
    while (const std::function<void()> work = Next()) {
      std::this_thread::sleep_for(std::chrono::microseconds(5));
      work();
    }
  }

  std::function<void()> Next() {
    MutexLock lock(&mutex_);
    while (work_.empty()) ready_.Wait(&mutex_);
    std::function<void()> next = std::move(work_.front());
    work_.pop_front();
    return next;
  }

  Mutex mutex_;
  CondVar ready_;
  std::deque<std::function<void()>> work_ ABSL_GUARDED_BY(mutex_);  // an empty one is the end
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
    MutexLock lock(&mutex_);
    const Stream stream = cpu_->NewStream();  // numbered alike
    if (stream == static_cast<Stream>(queues_.size())) queues_.emplace_back();
    queues_[stream] = std::make_unique<LateQueue>();
    return stream;
  }

  void FreeStream(Stream stream) override {
    std::unique_ptr<LateQueue> queue;
    {
      MutexLock lock(&mutex_);
      queue = std::move(TakenQueue(stream));
    }
    queue.reset();  // waits
    cpu_->FreeStream(stream);
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
    MutexLock lock(&mutex_);
    return *TakenQueue(stream);
  }

  std::unique_ptr<LateQueue>& TakenQueue(Stream stream) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    KERNEL_CHECK(stream >= 0 && stream < static_cast<Stream>(queues_.size()));
    KERNEL_CHECK(queues_[stream] != nullptr);
    return queues_[stream];
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
  Mutex mutex_;
  // By number; nullptr where the stream was given back. Last: their threads use everything above.
  std::vector<std::unique_ptr<LateQueue>> queues_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::unique_ptr<Backend> NewTestBackend(Isa isa, int threads) {
  return std::make_unique<TestBackend>(isa, threads);
}

}  // namespace carousel::kernels
