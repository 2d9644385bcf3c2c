// One claim: an element of C is one chain of fused multiply-adds, whatever the path, the threads,
// the shape and the strides.

#include "gtest/gtest.h"
#include "kernels/cpu/paths.h"
#include "tests/kernels/matmul_paths.h"
#include "tests/kernels/values.h"

namespace carousel::kernels {
namespace {

template <class T>
void RunMatMulOn(Isa isa, Context& context, const MatMulCase<T>& matmul) {
  switch (isa) {
    case Isa::kAvx512:
      return avx512::RunMatMul(context, matmul);
    case Isa::kAvx2:
      return avx2::RunMatMul(context, matmul);
    case Isa::kScalar:
      return scalar::RunMatMul(context, matmul);
  }
}

template <class T>
void RunPackedOn(Isa isa, const MatMulCase<T>& matmul) {
  switch (isa) {
    case Isa::kAvx512:
      return avx512::RunPacked(matmul);
    case Isa::kAvx2:
      return avx2::RunPacked(matmul);
    case Isa::kScalar:
      return scalar::RunPacked(matmul);
  }
}

// Some zeros of both signs: a chain must keep the sign of a zero too.
template <class T>
std::vector<T> ValuesAndZeros(int64_t size, uint64_t seed) {
  std::vector<T> values = Values<T>(size, seed);
  for (int64_t i = 0; i < size; i += 5) values[i] = i % 2 == 0 ? T(0) : -T(0);
  return values;
}

// How A and B lie in memory: as written, or transposed; k from the first or from the last.
struct Layout {
  bool a_transposed, b_transposed, k_descends;
};

// Operands of a case and the C that the definition gives. C has a column of padding that must stay.
template <class T>
class Story {
 public:
  Story(int64_t m, int64_t n, int64_t k, Layout layout)
      : a_(ValuesAndZeros<T>(m * k, 1)),
        b_(ValuesAndZeros<T>(k * n, 2)),
        start_(Values<T>(m * (n + 1), 3)),
        bias_(Values<T>(n, 4)),
        residual_(Values<T>(m * n, 5)) {
    matmul_.m = m;
    matmul_.n = n;
    matmul_.k = k;
    matmul_.c_row = n + 1;
    matmul_.a = a_.data();
    matmul_.a_row = layout.a_transposed ? 1 : k;
    matmul_.a_column = layout.a_transposed ? m : 1;
    matmul_.b = b_.data();
    matmul_.b_row = layout.b_transposed ? 1 : n;
    matmul_.b_column = layout.b_transposed ? k : 1;
    if (layout.k_descends && k > 0) {
      matmul_.a += (k - 1) * matmul_.a_column;
      matmul_.b += (k - 1) * matmul_.b_row;
      matmul_.a_column = -matmul_.a_column;
      matmul_.b_row = -matmul_.b_row;
    }
  }

  void Accumulate() { matmul_.accumulate = true; }
  void AddBias() { matmul_.bias = bias_.data(); }
  void AddResidual() {
    matmul_.residual = residual_.data();
    matmul_.residual_row = matmul_.n;
  }
  void AddResidualInPlace() { residual_in_place_ = true; }

  std::vector<T> Expected() const {
    std::vector<T> c = start_;
    for (int64_t m = 0; m < matmul_.m; ++m) {
      for (int64_t n = 0; n < matmul_.n; ++n) {
        T& at = c[m * matmul_.c_row + n];
        T sum = Chain<T>(
            matmul_.accumulate ? at : T(0), matmul_.k,
            [&](int64_t k) { return matmul_.a[m * matmul_.a_row + k * matmul_.a_column]; },
            [&](int64_t k) { return matmul_.b[k * matmul_.b_row + n * matmul_.b_column]; });
        if (matmul_.bias != nullptr) sum = sum + bias_[n];
        if (matmul_.residual != nullptr) sum = residual_[m * matmul_.n + n] + sum;
        at = residual_in_place_ ? at + sum : sum;
      }
    }
    return c;
  }

  // body is given the case with a C of its own.
  template <class Body>
  std::vector<T> Run(const Body& body) const {
    std::vector<T> c = start_;
    MatMulCase<T> matmul = matmul_;
    matmul.c = c.data();
    if (residual_in_place_) {
      matmul.residual = c.data();
      matmul.residual_row = matmul.c_row;
    }
    body(matmul);
    return c;
  }

  void HoldsOnEveryPath() const {
    const std::vector<T> expected = Expected();
    OnEveryPath([&](Isa isa, Context& context) {
      const std::vector<T> c =
          Run([&](const MatMulCase<T>& matmul) { RunMatMulOn(isa, context, matmul); });
      EXPECT_TRUE(SameBits(c, expected)) << NameOf(isa) << ", " << context.threads() << " threads, "
                                         << matmul_.m << " x " << matmul_.n << " x " << matmul_.k;
    });
  }

 private:
  const std::vector<T> a_, b_, start_, bias_, residual_;
  bool residual_in_place_ = false;
  MatMulCase<T> matmul_;
};

struct Size {
  int64_t m, n, k;
};
// Below, at and above every tile, panel, block and task of every path.
constexpr Size kSizes[] = {{1, 1, 1},      {1, 33, 5},    {2, 4, 700},  {20, 40, 2050},
                           {3, 16, 385},   {6, 16, 8},    {7, 17, 9},   {14, 32, 384},
                           {15, 33, 400},  {8, 100, 17},  {28, 64, 64}, {64, 70, 801},
                           {113, 129, 31}, {29, 2100, 9}, {4200, 5, 3}, {300, 260, 40},
                           {5, 7, 0},      {0, 3, 4},     {3, 0, 4}};
constexpr Layout kLayouts[] = {{false, false, false}, {false, true, false}, {true, false, false},
                               {true, true, false},   {true, false, true},  {false, true, true}};

template <class T>
class MatMulTest : public testing::Test {};
using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(MatMulTest, Types);

TYPED_TEST(MatMulTest, EveryElementIsOneChain) {
  for (const Size& size : kSizes) {
    for (const Layout& layout : kLayouts) {
      Story<TypeParam>(size.m, size.n, size.k, layout).HoldsOnEveryPath();
    }
  }
}

TYPED_TEST(MatMulTest, TheChainGoesOnFromC) {
  for (const Size& size : kSizes) {
    Story<TypeParam> story(size.m, size.n, size.k, {true, false, true});
    story.Accumulate();
    story.HoldsOnEveryPath();
  }
}

TYPED_TEST(MatMulTest, BiasThenResidualAreAddedWhenTheChainHasEnded) {
  for (const Size& size : kSizes) {
    Story<TypeParam> story(size.m, size.n, size.k, {false, true, false});
    story.AddBias();
    story.AddResidual();
    story.HoldsOnEveryPath();
  }
}

// k is longer than a block, so unfinished chains have to be kept; C is not the place.
TYPED_TEST(MatMulTest, TheResidualMayBeCItself) {
  for (const Size& size :
       {Size{3, 5, 7}, Size{64, 70, 801}, Size{130, 90, 2100}, Size{20, 2100, 1030}}) {
    Story<TypeParam> story(size.m, size.n, size.k, {false, true, false});
    story.AddResidualInPlace();
    story.HoldsOnEveryPath();
  }
}

TYPED_TEST(MatMulTest, PackedOperandsGiveTheSameChain) {
  for (const Size& size : {Size{1, 1, 1}, Size{8, 512, 128}, Size{64, 64, 64}, Size{33, 45, 70}}) {
    Story<TypeParam> story(size.m, size.n, size.k, {false, true, false});
    story.Accumulate();
    const auto expected = story.Expected();
    for (const Isa isa : Paths()) {
      const auto c =
          story.Run([&](const MatMulCase<TypeParam>& matmul) { RunPackedOn(isa, matmul); });
      EXPECT_TRUE(SameBits(c, expected)) << NameOf(isa);
    }
  }
}

}  // namespace
}  // namespace carousel::kernels
