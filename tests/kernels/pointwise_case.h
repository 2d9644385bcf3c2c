// What the tests of most operations share: equal bits on every path and number of threads, and
// derivatives by differences.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/cpu/paths.h"
#include "tests/kernels/values.h"

namespace carousel::kernels {

// run(isa, context) returns an operation's outputs, one after another. They must have the same bits
// on every path and for 1, 2 and 3 threads; the caller gets them.
template <class T, class Run>
std::vector<T> SameBitsEverywhere(const Run& run) {
  Context one(1);
  std::vector<T> expected = run(Isa::kScalar, one);
  OnEveryPath([&](Isa isa, Context& context) {
    EXPECT_TRUE(SameBits(run(isa, context), expected))
        << NameOf(isa) << ", " << context.threads() << " threads";
  });
  return expected;
}

template <class T>
std::vector<T> Joined(const std::vector<std::vector<T>>& parts) {
  std::vector<T> all;
  for (const std::vector<T>& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

// d loss / d x[k] for every k, by central differences of fourth order.
inline std::vector<double> Differences(std::vector<double>& x, const std::function<double()>& loss,
                                       double h = 1e-3) {
  std::vector<double> derivative(x.size());
  for (size_t k = 0; k < x.size(); ++k) {
    const double at = x[k];
    const auto moved = [&](double by) {
      x[k] = at + by;
      return loss();
    };
    derivative[k] = (8 * (moved(h) - moved(-h)) - (moved(2 * h) - moved(-2 * h))) / (12 * h);
    x[k] = at;
  }
  return derivative;
}

// |a - b| against the largest |b|.
template <class T>
void ExpectClose(const std::vector<T>& a, const std::vector<double>& b, double tolerance,
                 const char* what) {
  ASSERT_EQ(a.size(), b.size()) << what;
  double largest = 0, worst = 0;
  size_t at = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::fabs(b[i]));
    const double apart = std::fabs(static_cast<double>(a[i]) - b[i]);
    if (!(apart <= worst)) worst = apart, at = i;
  }
  EXPECT_LE(worst, tolerance * largest) << what << "[" << at << "]: " << a[at] << " for " << b[at];
}

// sum_i weight[i] y[i], in the widest type.
template <class T>
double Weighed(const std::vector<T>& weight, const std::vector<T>& y) {
  long double sum = 0;
  for (size_t i = 0; i < y.size(); ++i) sum += static_cast<long double>(weight[i]) * y[i];
  return static_cast<double>(sum);
}

}  // namespace carousel::kernels
