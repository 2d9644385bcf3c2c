// Context: what an operation of the CPU backend works with besides its operands: helper threads and
// scratch memory.
//
// Nothing here is a template or inline: this file is included by sources that are compiled for
// instruction sets which the machine may lack, and the linker must never pick their copy of a
// shared function.
#pragma once

#include <cstdint>
#include <memory>

namespace carousel::kernels {

// Used by one operation at a time.
class Context {
 public:
  explicit Context(int threads);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  int threads() const;

  // Calls task(argument, index, thread) for every index in [0, count), each once, on any thread in
  // [0, threads()), and returns when all are done. Tasks write disjoint outputs, so their order and
  // number changes no bit. Not nested.
  void ParallelFor(int64_t count, void (*task)(void* argument, int64_t index, int thread),
                   void* argument);

  // Scratch memory of a thread, aligned to 64, with undefined content; valid until the same
  // (thread, slot) is asked for again. Slots keep a routine's scratch apart from its caller's.
  enum Slot { kOperation, kPackA, kPackB, kMatmul, kSlotCount };
  void* Scratch(int thread, Slot slot, int64_t bytes);

 private:
  struct Pool;
  std::unique_ptr<Pool> pool_;
};

// Round to nearest, denormals kept: set at the entry of every thread that computes.
void SetFloatingPointMode();
// Ends the process if somebody changed the mode (a library compiled with fast-math does).
void CheckFloatingPointMode();

}  // namespace carousel::kernels
