// Numbers for tests: reproducible, of no pattern, compared bit by bit; and the chain that every sum
// of products is.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace carousel::kernels {

// `size` numbers in [-1, 1) that depend on the seed only.
template <class T>
std::vector<T> Values(int64_t size, uint64_t seed) {
  std::vector<T> values(size);
  uint64_t state = seed * 0x9e3779b97f4a7c15 + 1;
  for (T& value : values) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    value = static_cast<T>(static_cast<double>(static_cast<int64_t>(state)) * 0x1p-63);
  }
  return values;
}

// The index of the first element whose bits differ, or -1.
template <class T>
int64_t FirstDifference(const std::vector<T>& a, const std::vector<T>& b) {
  if (a.size() != b.size()) return 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::memcmp(&a[i], &b[i], sizeof(T)) != 0) return static_cast<int64_t>(i);
  }
  return -1;
}

// fma(a(k-1), b(k-1), ... fma(a(0), b(0), start)): the definition.
template <class T, class A, class B>
T Chain(T start, int64_t k, const A& a, const B& b) {
  for (int64_t i = 0; i < k; ++i) start = std::fma(a(i), b(i), start);
  return start;
}

}  // namespace carousel::kernels
