#include "kernels/adamw.h"

#include "kernels/learning_rate.h"
#include "tests/kernels/pointwise_case.h"

namespace carousel::kernels {
namespace {

constexpr int64_t kSize = 16384 + 45;  // more than one task, and a tail

template <class T>
struct State {
  std::vector<T> weight = Values<T>(kSize, 1), m = std::vector<T>(kSize), v = m;
};

AdamWStep StepNumber(int64_t t) {
  AdamWStep step;
  step.scale = 0.37;
  step.learning_rate = 1e-2 / static_cast<double>(t);
  step.beta1 = 0.9, step.beta2 = 0.95, step.epsilon = 1e-6, step.weight_decay = 0.1;
  const BiasCorrections corrections = AdamWBiasCorrections(step.beta1, step.beta2, t);
  step.correction1 = corrections.first, step.correction2 = corrections.second;
  return step;
}

template <class T>
State<T> AfterSteps(Isa isa, Context& context, int64_t steps) {
  State<T> state;
  for (int64_t t = 1; t <= steps; ++t) {
    std::vector<T> gradient = Values<T>(kSize, 10 + t);
    RunOn(isa, context,
          AdamW{SpanOf(state.weight), SpanOf(state.m), SpanOf(state.v), SpanOf(gradient),
                StepNumber(t)});
  }
  return state;
}

// torch.optim.AdamW, written out.
State<double> Reference(int64_t steps) {
  State<double> state;
  for (int64_t t = 1; t <= steps; ++t) {
    const std::vector<double> gradient = Values<double>(kSize, 10 + t);
    const AdamWStep step = StepNumber(t);
    for (int64_t i = 0; i < kSize; ++i) {
      const double g = gradient[i] * 0.37;
      double& w = state.weight[i];
      w *= 1 - step.learning_rate * 0.1;
      state.m[i] = 0.9 * state.m[i] + (1 - 0.9) * g;
      state.v[i] = 0.95 * state.v[i] + (1 - 0.95) * g * g;
      w -= step.learning_rate / (1 - std::pow(0.9, t)) * state.m[i] /
           (std::sqrt(state.v[i]) / std::sqrt(1 - std::pow(0.95, t)) + 1e-6);
    }
  }
  return state;
}

TEST(AdamWTest, FiveStepsAgreeWithThePlainLoop) {
  Context context(1);
  const State<double> reference = Reference(5);
  const State<double> in_double = AfterSteps<double>(Isa::kAvx2, context, 5);
  ExpectClose(in_double.weight, reference.weight, 1e-14, "weight");
  ExpectClose(in_double.m, reference.m, 1e-14, "m");
  ExpectClose(in_double.v, reference.v, 1e-14, "v");
  const State<float> in_float = AfterSteps<float>(Isa::kAvx2, context, 5);
  ExpectClose(in_float.weight, reference.weight, 1e-6, "weight in float");
  ExpectClose(in_float.v, reference.v, 1e-6, "v in float");
}

TEST(AdamWTest, BitsAreTheSameOnEveryPathAndNumberOfThreads) {
  const auto check = [](auto zero) {
    using T = decltype(zero);
    SameBitsEverywhere<T>([](Isa isa, Context& context) {
      const State<T> state = AfterSteps<T>(isa, context, 3);
      return Joined<T>({state.weight, state.m, state.v});
    });
  };
  check(float{});
  check(double{});
}

TEST(AdamWTest, WithRateZeroOnlyTheMomentsMove) {
  Context context(1);
  State<float> state;
  std::vector<float> gradient = Values<float>(kSize, 2);
  AdamWStep step = StepNumber(1);
  step.learning_rate = 0;
  RunOn(Isa::kAvx2, context,
        AdamW{SpanOf(state.weight), SpanOf(state.m), SpanOf(state.v), SpanOf(gradient), step});
  EXPECT_TRUE(SameBits(state.weight, State<float>().weight));
  EXPECT_NE(state.m[0], 0);
}

}  // namespace
}  // namespace carousel::kernels
