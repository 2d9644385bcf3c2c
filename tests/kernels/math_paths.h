// kernels/cpu/math.h and lanes.h as a test can call them: once for each instruction set, without
// their templates.
#pragma once

#include <cstdint>

#include "kernels/backend.h"

namespace carousel::kernels {

enum class Function { kExp, kLog, kLog1p, kSigmoid, kLogSigmoid, kTanh, kErf };
enum class Reduction { kSum, kDot, kLargest, kSumInDouble, kDotInDouble };

#define CAROUSEL_DECLARE_MATH(T)                                         \
  /* y[i] = function(x[i]), a vector at a time */                        \
  void Evaluate(Function function, const T* x, T* y, int64_t n);         \
  /* the same, an element at a time */                                   \
  void EvaluateOneByOne(Function function, const T* x, T* y, int64_t n); \
  /* y is read by products only */                                       \
  double Reduce(Reduction reduction, const T* x, const T* y, int64_t n);

namespace avx512 {
CAROUSEL_DECLARE_MATH(float)
CAROUSEL_DECLARE_MATH(double)
}  // namespace avx512
namespace avx2 {
CAROUSEL_DECLARE_MATH(float)
CAROUSEL_DECLARE_MATH(double)
}  // namespace avx2
namespace scalar {
CAROUSEL_DECLARE_MATH(float)
CAROUSEL_DECLARE_MATH(double)
}  // namespace scalar

#undef CAROUSEL_DECLARE_MATH

template <class T>
void EvaluateOn(Isa isa, Function function, const T* x, T* y, int64_t n) {
  if (isa == Isa::kAvx512) return avx512::Evaluate(function, x, y, n);
  if (isa == Isa::kAvx2) return avx2::Evaluate(function, x, y, n);
  return scalar::Evaluate(function, x, y, n);
}

template <class T>
void EvaluateOneByOneOn(Isa isa, Function function, const T* x, T* y, int64_t n) {
  if (isa == Isa::kAvx512) return avx512::EvaluateOneByOne(function, x, y, n);
  if (isa == Isa::kAvx2) return avx2::EvaluateOneByOne(function, x, y, n);
  return scalar::EvaluateOneByOne(function, x, y, n);
}

template <class T>
double ReduceOn(Isa isa, Reduction reduction, const T* x, const T* y, int64_t n) {
  if (isa == Isa::kAvx512) return avx512::Reduce(reduction, x, y, n);
  if (isa == Isa::kAvx2) return avx2::Reduce(reduction, x, y, n);
  return scalar::Reduce(reduction, x, y, n);
}

}  // namespace carousel::kernels
