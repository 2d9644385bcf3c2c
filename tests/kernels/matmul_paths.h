// kernels/cpu/matmul.h as a test can call it: once for each instruction set, without its
// templates.
#pragma once

#include <cstdint>

#include "kernels/cpu/context.h"

namespace carousel::kernels {

// The fields of Product of kernels/cpu/matmul.h.
template <class T>
struct MatMulCase {
  int64_t m = 0, n = 0, k = 0;
  const T* a = nullptr;
  int64_t a_row = 0, a_column = 0;
  const T* b = nullptr;
  int64_t b_row = 0, b_column = 0;
  T* c = nullptr;
  int64_t c_row = 0;
  bool accumulate = false;
  const T* bias = nullptr;
  const T* residual = nullptr;
  int64_t residual_row = 0;
};

#define CAROUSEL_DECLARE_MATMUL_CASE(T)                          \
  void RunMatMul(Context& context, const MatMulCase<T>& matmul); \
  void RunPacked(const MatMulCase<T>& matmul);

namespace avx512 {
CAROUSEL_DECLARE_MATMUL_CASE(float)
CAROUSEL_DECLARE_MATMUL_CASE(double)
}  // namespace avx512
namespace avx2 {
CAROUSEL_DECLARE_MATMUL_CASE(float)
CAROUSEL_DECLARE_MATMUL_CASE(double)
}  // namespace avx2
namespace scalar {
CAROUSEL_DECLARE_MATMUL_CASE(float)
CAROUSEL_DECLARE_MATMUL_CASE(double)
}  // namespace scalar

#undef CAROUSEL_DECLARE_MATMUL_CASE

}  // namespace carousel::kernels
