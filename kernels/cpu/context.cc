#include "kernels/cpu/context.h"

#include <immintrin.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

#include "kernels/check.h"
#include "kernels/span.h"

namespace carousel::kernels {
namespace {

constexpr unsigned kExceptionFlags = 0x3f;    // sticky, without meaning to us
constexpr unsigned kDefaultControl = 0x1f80;  // all exceptions masked, to nearest, no FTZ, no DAZ

struct Scratchpad {
  ~Scratchpad() { std::free(memory); }
  void* memory = nullptr;
  int64_t bytes = 0;
};

}  // namespace

void SetFloatingPointMode() { _mm_setcsr(kDefaultControl); }

void CheckFloatingPointMode() {
  KERNEL_CHECK((_mm_getcsr() & ~kExceptionFlags) == kDefaultControl);
}

// Helper threads sleep between jobs: a worker shares its machine, so nothing spins.
struct Context::Pool {
  explicit Pool(int threads) : scratch(threads) {
    for (int thread = 1; thread < threads; ++thread) {
      helpers.emplace_back([this, thread] { Help(thread); });
    }
  }

  ~Pool() {
    {
      std::lock_guard<std::mutex> lock(mutex);
      stopping = true;
    }
    work_ready.notify_all();
    for (std::thread& helper : helpers) helper.join();
  }

  void Help(int thread) {
    SetFloatingPointMode();
    int64_t seen = 0;
    std::unique_lock<std::mutex> lock(mutex);
    while (true) {
      work_ready.wait(lock, [&] { return stopping || job != seen; });
      if (stopping) return;
      seen = job;
      internal::address_bias = bias;
      lock.unlock();
      Drain(thread);
      lock.lock();
      if (--busy == 0) work_done.notify_one();
    }
  }

  void Drain(int thread) {
    for (int64_t index = next++; index < count; index = next++) task(argument, index, thread);
  }

  std::vector<std::array<Scratchpad, kSlotCount>> scratch;  // [thread][slot]
  std::vector<std::thread> helpers;

  // The job: written under the mutex while no helper is busy.
  void (*task)(void*, int64_t, int) = nullptr;
  void* argument = nullptr;
  int64_t count = 0;
  ptrdiff_t bias = 0;
  std::atomic<int64_t> next{0};

  std::mutex mutex;
  std::condition_variable work_ready, work_done;
  int64_t job = 0;  // number of the current job
  int busy = 0;     // helpers that have not finished it
  bool stopping = false;
};

Context::Context(int threads) : pool_(std::make_unique<Pool>(threads)) {
  KERNEL_CHECK(threads >= 1);
}

Context::~Context() = default;

int Context::threads() const { return static_cast<int>(pool_->scratch.size()); }

void Context::ParallelFor(int64_t count, void (*task)(void*, int64_t, int), void* argument) {
  if (count <= 1 || pool_->helpers.empty()) {
    for (int64_t index = 0; index < count; ++index) task(argument, index, 0);
    return;
  }
  {
    std::lock_guard<std::mutex> lock(pool_->mutex);
    pool_->task = task;
    pool_->argument = argument;
    pool_->count = count;
    pool_->bias = internal::address_bias;
    pool_->next = 0;
    pool_->busy = static_cast<int>(pool_->helpers.size());
    ++pool_->job;
  }
  pool_->work_ready.notify_all();
  pool_->Drain(0);
  std::unique_lock<std::mutex> lock(pool_->mutex);
  pool_->work_done.wait(lock, [this] { return pool_->busy == 0; });
}

void* Context::Scratch(int thread, Slot slot, int64_t bytes) {
  Scratchpad& pad = pool_->scratch[thread][slot];
  if (pad.bytes < bytes) {
    std::free(pad.memory);
    pad.bytes = (bytes + 4095) / 4096 * 4096;
    pad.memory = std::aligned_alloc(64, pad.bytes);
    KERNEL_CHECK(pad.memory != nullptr);
  }
  return pad.memory;
}

}  // namespace carousel::kernels
