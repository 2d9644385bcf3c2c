#include "tests/kernels/math_paths.h"

#include "kernels/cpu/lanes.h"
#include "kernels/cpu/math.h"

namespace carousel::kernels::CAROUSEL_ISA {
namespace {

template <class V>
V Value(Function function, V x) {
  switch (function) {
    case Function::kExp:
      return Exp(x);
    case Function::kLog:
      return Log(x);
    case Function::kLog1p:
      return Log1p(x);
    case Function::kSigmoid:
      return Sigmoid(x);
    case Function::kLogSigmoid:
      return LogSigmoid(x);
    case Function::kTanh:
      return Tanh(x);
    case Function::kErf:
      return Erf(x);
  }
  return x;
}

template <class T>
void EvaluateVectors(Function function, const T* x, T* y, int64_t size) {
  ForEachVector<T>(size, [&](int64_t i, int64_t n) {
    StoreUpTo<T>(y + i, Value<Vec<T>>(function, LoadUpTo<T>(x + i, n)), n);
  });
}

template <class T>
double ReduceRow(Reduction reduction, const T* x, const T* y, int64_t n) {
  switch (reduction) {
    case Reduction::kSum:
      return Sum<T>(x, n);
    case Reduction::kDot:
      return Dot<T>(x, y, n);
    case Reduction::kLargest:
      return Largest<T>(x, n);
    case Reduction::kSumInDouble:
      return SumInDouble<T>(x, n);
    case Reduction::kDotInDouble:
      return DotInDouble<T>(x, y, n);
  }
  return 0;
}

}  // namespace

void Evaluate(Function function, const float* x, float* y, int64_t n) {
  EvaluateVectors<float>(function, x, y, n);
}
void Evaluate(Function function, const double* x, double* y, int64_t n) {
  EvaluateVectors<double>(function, x, y, n);
}
void EvaluateOneByOne(Function function, const float* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = Value<float>(function, x[i]);
}
void EvaluateOneByOne(Function function, const double* x, double* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = Value<double>(function, x[i]);
}
double Reduce(Reduction reduction, const float* x, const float* y, int64_t n) {
  return ReduceRow<float>(reduction, x, y, n);
}
double Reduce(Reduction reduction, const double* x, const double* y, int64_t n) {
  return ReduceRow<double>(reduction, x, y, n);
}

}  // namespace carousel::kernels::CAROUSEL_ISA
