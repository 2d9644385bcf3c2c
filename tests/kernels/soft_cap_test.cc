#include "kernels/soft_cap.h"

#include "tests/kernels/pointwise_case.h"

namespace carousel::kernels {
namespace {

constexpr double kCap = 15;

// From far inside the cap to far beyond it.
template <class T>
std::vector<T> PreActivations(int64_t size) {
  std::vector<T> x = Values<T>(size, 1);
  for (T& value : x) value *= 60;
  return x;
}

TEST(SoftCapTest, ForwardAgreesWithTanhAndStaysWithinTheCap) {
  std::vector<float> x = PreActivations<float>(1001), y(x.size());
  x[0] = 1e30f, x[1] = -1e30f;
  Context context(1);
  RunOn(Isa::kAvx2, context, SoftCapForward{SpanOf(x), SpanOf(y), kCap});
  for (size_t i = 0; i < x.size(); ++i) {
    EXPECT_NEAR(y[i], kCap * std::tanh(x[i] / kCap), 3e-7 * std::fabs(y[i]));
    EXPECT_LE(std::fabs(y[i]), kCap);
  }
}

TEST(SoftCapTest, BackwardAgreesWithDifferencesInPlace) {
  std::vector<double> x = PreActivations<double>(501), dy = Values<double>(501, 2), y(x.size());
  Context context(1);
  const auto loss = [&] {
    RunOn(Isa::kAvx2, context, SoftCapForward{SpanOf(x), SpanOf(y), kCap});
    return Weighed(dy, y);
  };
  const std::vector<double> expected = Differences(x, loss);
  loss();
  RunOn(Isa::kAvx2, context, SoftCapBackward{SpanOf(y), SpanOf(dy), SpanOf(dy), kCap});
  ExpectClose(dy, expected, 1e-9, "dx");
}

TEST(SoftCapTest, BitsAreTheSameOnEveryPathAndNumberOfThreads) {
  const auto check = [](auto zero) {
    using T = decltype(zero);
    SameBitsEverywhere<T>([](Isa isa, Context& context) {
      std::vector<T> y = PreActivations<T>(40007), dx = Values<T>(40007, 2);
      RunOn(isa, context, SoftCapForward{SpanOf(y), SpanOf(y), kCap});
      RunOn(isa, context, SoftCapBackward{SpanOf(y), SpanOf(dx), SpanOf(dx), kCap});
      return Joined<T>({y, dx});
    });
  };
  check(float{});
  check(double{});
}

}  // namespace
}  // namespace carousel::kernels
