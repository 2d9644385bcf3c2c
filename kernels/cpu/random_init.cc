#include "kernels/random_init.h"

#include "kernels/cpu/run.h"
#include "kernels/cpu/split.h"
#include "kernels/cpu/typed.h"
#include "kernels/philox.h"
#include "kernels/scalar_math.h"

namespace carousel::kernels::CAROUSEL_ISA {
namespace {

constexpr double kTwoPi = 0x1.921fb54442d18p+2;

// In (0, 1): the middle of one of 2^32 equal parts.
double Unit(uint32_t bits) { return (static_cast<double>(bits) + 0.5) * 0x1p-32; }

double ValueAt(const RandomInit& op, int64_t index) {
  const int64_t j = op.period > 0 ? index % op.period : 0;
  const double share =
      op.period > 1 ? static_cast<double>(j) / static_cast<double>(op.period - 1) : 0;
  switch (op.kind) {
    case InitKind::kConstant:
      return op.a;
    case InitKind::kNormal: {
      const Philox4x32 random = PhiloxAt(op.seed, index, op.tensor);
      return op.a * __builtin_sqrt(-2 * OwnLog(Unit(random.word[0]))) *
             OwnCos(kTwoPi * Unit(random.word[1]));
    }
    case InitKind::kUniform:
      return op.a * (2 * Unit(PhiloxAt(op.seed, index, op.tensor).word[0]) - 1);
    case InitKind::kLinspace:
      return op.a + (op.b - op.a) * share;
    case InitKind::kPowerLaw:
      return -(op.a + (op.b - op.a) * (share > 0 ? OwnPow(share, op.exponent) : 0));
  }
  return 0;
}

}  // namespace

void Run(Context& context, const RandomInit& op) {
  Typed(op.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* x = op.x.As<T>();
    ParallelElements(context, op.x.size(), [&](int64_t first, int64_t count) {
      for (int64_t i = first; i < first + count; ++i)
        x[i] = static_cast<T>(ValueAt(op, op.first + i));
    });
  });
}

}  // namespace carousel::kernels::CAROUSEL_ISA
