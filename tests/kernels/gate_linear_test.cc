// Two narrow linear maps as one operation: the bits are those of two of kernels/linear.h.

#include "gtest/gtest.h"
#include "kernels/cpu/paths.h"
#include "tests/kernels/values.h"

namespace carousel::kernels {
namespace {

// Operands of one size; x and dx are slices of wider matrices, as in a block.
template <class T>
struct Story {
  explicit Story(const GateLinearShape& shape)
      : shape(shape),
        stride(shape.in + 3),
        x(Values<T>(shape.rows * stride, 1)),
        wi(Values<T>(shape.heads * shape.in, 2)),
        wf(Values<T>(shape.heads * shape.in, 3)),
        bi(Values<T>(shape.heads, 4)),
        bf(Values<T>(shape.heads, 5)),
        i(Values<T>(shape.rows * shape.heads, 6)),
        f(Values<T>(shape.rows * shape.heads, 7)) {}

  void RunGates(Isa isa, Context& context, int which) {
    if (which == 0) {
      RunOn(isa, context,
            GateLinearForward{shape,
                              {SpanOf(x), stride},
                              SpanOf(wi),
                              SpanOf(wf),
                              SpanOf(bi),
                              SpanOf(bf),
                              SpanOf(i),
                              SpanOf(f)});
    } else if (which == 1) {
      RunOn(isa, context,
            GateLinearBackwardInput{
                shape, SpanOf(i), SpanOf(f), SpanOf(wi), SpanOf(wf), {SpanOf(x), stride}});
    } else {
      RunOn(isa, context,
            GateLinearBackwardWeight{shape,
                                     {SpanOf(x), stride},
                                     SpanOf(i),
                                     SpanOf(f),
                                     SpanOf(wi),
                                     SpanOf(wf),
                                     SpanOf(bi),
                                     SpanOf(bf)});
    }
  }

  // The same by two linear maps, i's first.
  void RunLinears(int which) {
    Context context(1);
    const auto [rows, in, heads] = shape;
    for (const bool forget : {false, true}) {
      const Span weight = SpanOf(forget ? wf : wi), bias = SpanOf(forget ? bf : bi);
      const Matrix gate = {SpanOf(forget ? f : i), heads}, wide = {SpanOf(x), stride};
      if (which == 0) {
        RunOn(Isa::kScalar, context, LinearForward{wide, weight, bias, {}, gate, rows, in, heads});
      } else if (which == 1) {
        RunOn(Isa::kScalar, context,
              LinearBackwardInput{gate, weight, wide, rows, in, heads, /*accumulate=*/true});
      } else {
        RunOn(Isa::kScalar, context,
              LinearBackwardWeight{wide, gate, weight, bias, rows, in, heads});
      }
    }
  }

  GateLinearShape shape;
  int64_t stride;
  std::vector<T> x, wi, wf, bi, bf, i, f;
};

template <class T>
class GateLinearTest : public testing::Test {};
using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(GateLinearTest, Types);

TYPED_TEST(GateLinearTest, IsTwoLinearMapsBitForBit) {
  // One head; heads that fill no group; rows, columns and weights beyond every block.
  for (const GateLinearShape& shape :
       {GateLinearShape{1, 1, 1}, GateLinearShape{37, 301, 3}, GateLinearShape{130, 40, 4},
        GateLinearShape{19, 523, 7}, GateLinearShape{0, 5, 2}}) {
    for (const int which : {0, 1, 2}) {
      Story<TypeParam> expected(shape);
      expected.RunLinears(which);
      OnEveryPath([&](Isa isa, Context& context) {
        Story<TypeParam> story(shape);
        story.RunGates(isa, context, which);
        const auto same = [&](const char* name, const auto& ours, const auto& theirs) {
          EXPECT_TRUE(SameBits(ours, theirs))
              << name << " of operation " << which << ", " << NameOf(isa) << ", "
              << context.threads() << " threads, " << shape.rows << " rows, " << shape.heads
              << " heads";
        };
        same("i", story.i, expected.i);
        same("f", story.f, expected.f);
        same("x", story.x, expected.x);
        same("wi", story.wi, expected.wi);
        same("wf", story.wf, expected.wf);
        same("bi", story.bi, expected.bi);
        same("bf", story.bf, expected.bf);
      });
    }
  }
}

}  // namespace
}  // namespace carousel::kernels
