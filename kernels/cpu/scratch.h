// Arena: cuts one thread's scratch memory into arrays.
//
// A struct whose constructor takes its arrays from an arena says their sizes once: built over an
// arena without memory, it only counts.
//
//   Arena measure;
//   SomeScratch(measure, shape);
//   Arena arena(context.Scratch(thread, Context::kOperation, measure.used()));
//   SomeScratch scratch(arena, shape);
#pragma once

#include <cstddef>
#include <cstdint>

namespace carousel::kernels::CAROUSEL_ISA {

class Arena {
 public:
  // `memory` is aligned to 64.
  explicit Arena(void* memory = nullptr) : memory_(static_cast<std::byte*>(memory)) {}

  // An array aligned to 64, with undefined content; nullptr when only counting.
  template <class T>
  T* Take(int64_t count) {
    T* taken = memory_ == nullptr ? nullptr : reinterpret_cast<T*>(memory_ + used_);
    used_ += (count * int64_t{sizeof(T)} + 63) / 64 * 64;
    return taken;
  }

  int64_t used() const { return used_; }  // bytes

 private:
  std::byte* memory_;
  int64_t used_ = 0;
};

}  // namespace carousel::kernels::CAROUSEL_ISA
