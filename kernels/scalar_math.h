// Double functions of our own, for the few scalars that reach weights outside the operations:
// learning rates, bias corrections, initial values. IEEE operations and fma only, so that their
// bits depend on no library; errors of a few ulp.
//
// Pure; thread-safe.
#pragma once

#include <cstdint>

namespace carousel::kernels {

double OwnExp(double x);
double OwnLog(double x);               // x > 0
double OwnCos(double x);               // |x| <= 2 pi and a bit
double OwnPow(double x, double y);     // x > 0: exp(y log x)
double OwnPower(double x, int64_t n);  // x^n by squaring, n >= 0

}  // namespace carousel::kernels
