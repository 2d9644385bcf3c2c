// Span: a non-owning run of typed elements in a backend's memory, and Matrix, rows of such elements
// a stride apart.
//
// The address may belong to a device: only an operation that runs on its backend may touch what it
// points to. Everything else passes spans on, slices them, and compares sizes. The element type is
// known at run time, because a job chooses it.
//
// Notation used by every header in this folder:
//   B sequences of a micro-batch, S time steps of a segment, D model width, NH heads, DQK and DHV
//   head widths, L chunk, V vocabulary. Rows are time-major: row t * B + b is time t of sequence b,
//   and rows = S * B. [a, b, c] is row-major, c fastest.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/check.h"

namespace carousel::kernels {

enum class DType : uint8_t { kF32, kF64, kBF16, kI32, kU8 };

constexpr int64_t SizeOf(DType type) {
  switch (type) {
    case DType::kF64:
      return 8;
    case DType::kF32:
    case DType::kI32:
      return 4;
    case DType::kBF16:
      return 2;
    case DType::kU8:
      return 1;
  }
  return 0;
}

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::kF32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::kF64;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType value = DType::kI32;
};
template <>
struct DTypeOf<uint8_t> {
  static constexpr DType value = DType::kU8;
};

namespace internal {
// Added to a span's address when an operation dereferences it. 0 but on the thread of a backend
// whose device addresses are not host addresses (the test backend).
extern constinit thread_local ptrdiff_t address_bias;
}  // namespace internal

// Trivially copyable. An empty span (no address) stands for "not given" where an operation says
// that an operand is optional.
class Span {
 public:
  Span() = default;
  Span(std::byte* address, DType dtype, int64_t size)
      : address_(address), size_(size), dtype_(dtype) {}

  // A span over host memory, for tests and for the CPU backend, whose memory is the host's.
  template <class T>
  static Span Of(T* data, int64_t size) {
    return Span(reinterpret_cast<std::byte*>(data), DTypeOf<T>::value, size);
  }

  [[gnu::always_inline]] bool empty() const { return address_ == nullptr; }
  [[gnu::always_inline]] int64_t size() const { return size_; }  // in elements
  [[gnu::always_inline]] DType dtype() const { return dtype_; }
  int64_t bytes() const { return size_ * SizeOf(dtype_); }
  std::byte* address() const { return address_; }

  // Elements [first, first + count).
  Span Slice(int64_t first, int64_t count) const {
    KERNEL_CHECK(first >= 0 && count >= 0 && first + count <= size_);
    return Span(address_ + first * SizeOf(dtype_), dtype_, count);
  }

  // For code that runs as part of an operation only. nullptr if empty.
  template <class T>
  [[gnu::always_inline]] T* As() const {
    if (address_ == nullptr) return nullptr;
    KERNEL_CHECK(dtype_ == DTypeOf<T>::value);
    return reinterpret_cast<T*>(address_ + internal::address_bias);
  }

 private:
  std::byte* address_ = nullptr;
  int64_t size_ = 0;
  DType dtype_ = DType::kF32;
};

// Rows of elements that lie `stride` elements apart: a whole matrix, or some of its columns.
struct Matrix {
  Span data;
  int64_t stride = 0;

  bool empty() const { return data.empty(); }
};

}  // namespace carousel::kernels
