#include "worker/sampler.h"

#include <algorithm>
#include <cmath>

namespace carousel {
namespace {

// splitmix64 (Steele, Lea & Flood 2014) as a function of (seed, index), in [0, 1).
double Uniform(int64_t seed, int64_t index) {
  uint64_t z = static_cast<uint64_t>(seed) * 0x9e3779b97f4a7c15u +
               static_cast<uint64_t>(index + 1) * 0xd1b54a32d192ed03u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

}  // namespace

int32_t SampleToken(const std::vector<float>& logits, double cap, double temperature, int64_t seed,
                    int64_t index) {
  const auto most_likely = std::max_element(logits.begin(), logits.end());
  if (temperature <= 0) return static_cast<int32_t>(most_likely - logits.begin());
  auto z = [cap](float logit) {
    return cap > 0 ? cap * std::tanh(logit / cap) : static_cast<double>(logit);
  };
  const double maximum = z(*most_likely);
  std::vector<double> cumulative;
  double sum = 0;
  for (float logit : logits)
    cumulative.push_back(sum += std::exp((z(logit) - maximum) / temperature));
  const double target = Uniform(seed, index) * sum;
  const auto chosen = std::upper_bound(cumulative.begin(), cumulative.end(), target);
  return static_cast<int32_t>(
      std::min<int64_t>(chosen - cumulative.begin(), static_cast<int64_t>(logits.size()) - 1));
}

}  // namespace carousel
