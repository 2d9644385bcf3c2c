#include "kernels/cpu/context.h"

#include <immintrin.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <thread>
#include <vector>

#include "kernels/check.h"
#include "kernels/mutex.h"
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

// What one ParallelFor asks of every thread.
struct Job {
  int64_t number = 0;  // counted from 1
  int64_t count = 0;
  void (*task)(void*, int64_t, int) = nullptr;
  void* argument = nullptr;
  ptrdiff_t bias = 0;
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
      MutexLock lock(&mutex);
      stopping = true;
    }
    work_ready.NotifyAll();
    for (std::thread& helper : helpers) helper.join();
  }

  // Returns when every thread has done its share.
  void RunOnAllThreads(Job wanted) {
    {
      MutexLock lock(&mutex);
      wanted.number = job.number + 1;
      job = wanted;
      next = 0;
      busy = static_cast<int>(helpers.size());
    }
    work_ready.NotifyAll();
    Drain(wanted, 0);
    MutexLock lock(&mutex);
    while (busy > 0) work_done.Wait(&mutex);
  }

  // A helper's life.
  void Help(int thread) {
    SetFloatingPointMode();
    for (Job mine; AwaitJobAfter(mine.number, &mine);) {
      internal::address_bias = mine.bias;
      Drain(mine, thread);
      MutexLock lock(&mutex);
      if (--busy == 0) work_done.NotifyOne();
    }
  }

  // False when the pool ends instead.
  bool AwaitJobAfter(int64_t number, Job* next_job) {
    MutexLock lock(&mutex);
    while (!stopping && job.number == number) work_ready.Wait(&mutex);
    *next_job = job;
    return !stopping;
  }

  void Drain(const Job& of, int thread) {
    for (int64_t index = next++; index < of.count; index = next++) {
      of.task(of.argument, index, thread);
    }
    CheckFloatingPointMode();
  }

  std::vector<std::array<Scratchpad, kSlotCount>> scratch;  // [thread][slot]; each its thread's own
  std::vector<std::thread> helpers;
  std::atomic<int64_t> next{0};  // index that nobody has taken yet

  Mutex mutex;
  CondVar work_ready, work_done;
  Job job ABSL_GUARDED_BY(mutex);       // the current one, or the last
  int busy ABSL_GUARDED_BY(mutex) = 0;  // helpers that have not finished it
  bool stopping ABSL_GUARDED_BY(mutex) = false;
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
  pool_->RunOnAllThreads(
      {.count = count, .task = task, .argument = argument, .bias = internal::address_bias});
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
