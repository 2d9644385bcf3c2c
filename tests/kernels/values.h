// Numbers for tests: reproducible, of no pattern, seen as the spans that operations take, compared
// bit by bit; and the chain that every sum of products is.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/span.h"

namespace carousel::kernels {

// `size` numbers in [mean - scale, mean + scale) that depend on the seed only.
template <class T>
std::vector<T> Values(int64_t size, uint64_t seed, double scale = 1, double mean = 0) {
  std::vector<T> values(size);
  uint64_t state = seed * 0x9e3779b97f4a7c15 + 1;
  for (T& value : values) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    const double unit = static_cast<double>(static_cast<int64_t>(state)) * 0x1p-63;
    value = static_cast<T>(mean + scale * unit);
  }
  return values;
}

// None of an empty vector, but of its type.
template <class T>
Span SpanOf(std::vector<T>& values) {
  return Span::Of(values.empty() ? nullptr : values.data(), static_cast<int64_t>(values.size()));
}
// Of what an operation only reads: it has one type of span for both.
template <class T>
Span SpanOf(const std::vector<T>& values) {
  return SpanOf(const_cast<std::vector<T>&>(values));
}

// Columns [first, ...) of rows that are `stride` elements long.
template <class T>
Matrix MatrixOf(std::vector<T>& values, int64_t stride, int64_t first = 0) {
  return {SpanOf(values).Slice(first, static_cast<int64_t>(values.size()) - first), stride};
}
template <class T>
Matrix MatrixOf(const std::vector<T>& values, int64_t stride, int64_t first = 0) {
  return MatrixOf(const_cast<std::vector<T>&>(values), stride, first);
}

// The index of the first element whose bits differ, or -1.
template <class T>
int64_t FirstDifference(const std::vector<T>& a, const std::vector<T>& b) {
  if (a.size() != b.size()) return static_cast<int64_t>(std::min(a.size(), b.size()));
  const auto* left = reinterpret_cast<const unsigned char*>(a.data());
  const auto* right = reinterpret_cast<const unsigned char*>(b.data());
  const auto* end = left + a.size() * sizeof(T);
  const auto* at = std::mismatch(left, end, right).first;
  return at == end ? -1 : (at - left) / static_cast<int64_t>(sizeof(T));
}

// EXPECT_TRUE(SameBits(actual, expected)) says which element differs first, and both values.
template <class T>
testing::AssertionResult SameBits(const std::vector<T>& actual, const std::vector<T>& expected) {
  const int64_t at = FirstDifference(actual, expected);
  if (at == -1) return testing::AssertionSuccess();
  if (actual.size() != expected.size()) {
    return testing::AssertionFailure()
           << actual.size() << " elements instead of " << expected.size();
  }
  return testing::AssertionFailure() << "element " << at << " of " << actual.size() << " is "
                                     << +actual[at] << " instead of " << +expected[at];
}

// The same for several tensors with their names.
template <class Named>
testing::AssertionResult SameBitsOfAll(const Named& actual, const Named& expected) {
  for (size_t i = 0; i < actual.size(); ++i) {
    const testing::AssertionResult same = SameBits(*actual[i].second, *expected[i].second);
    if (!same) return testing::AssertionFailure() << actual[i].first << ": " << same.message();
  }
  return testing::AssertionSuccess();
}

// fma(a(k-1), b(k-1), ... fma(a(0), b(0), start)): the definition.
template <class T, class A, class B>
T Chain(T start, int64_t k, const A& a, const B& b) {
  for (int64_t i = 0; i < k; ++i) start = std::fma(a(i), b(i), start);
  return start;
}

}  // namespace carousel::kernels
