// Documents in one window of the mLSTM: none knows of another.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/kernels/mlstm_case.h"

namespace carousel::kernels {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The rows of a document [first, last) of every sequence, alone.
template <class T>
MlstmCase<T> Alone(const MlstmCase<T>& x, int64_t first, int64_t last) {
  const auto cut = [&](const std::vector<T>& values) {
    const int64_t step = static_cast<int64_t>(values.size()) / x.shape.steps;
    return std::vector<T>(values.begin() + first * step, values.begin() + last * step);
  };
  MlstmCase<T> y;
  y.shape = x.shape;
  y.shape.steps = last - first;
  y.q = cut(x.q), y.k = cut(x.k), y.v = cut(x.v), y.i = cut(x.i), y.f = cut(x.f), y.dh = cut(x.dh);
  if (first == 0) y.c = x.c, y.n = x.n, y.m = x.m;
  if (last == x.shape.steps) y.dc = x.dc, y.dn = x.dn;
  return y;
}

template <class T>
void StartDocument(MlstmCase<T>& x, int64_t step) {
  for (int64_t b = 0; b < x.shape.batch; ++b) x.reset[step * x.shape.batch + b] = 1;
}

// Calls visit(name, of the window, of the document alone) for everything that has rows in time.
template <class T, class Visit>
void ForEachRowTensor(const MlstmShape& window, const MlstmOutcome<T>& y, int64_t first,
                      int64_t last, const MlstmOutcome<T>& alone, const Visit& visit) {
  const auto all = y.All(), part = alone.All();
  for (size_t p = 0; p < all.size(); ++p) {
    const std::string& name = all[p].first;
    if (name == "C_last" || name == "n_last" || name == "m_last" || name == "dC" || name == "dn") {
      continue;
    }
    const int64_t step = static_cast<int64_t>(all[p].second->size()) / window.steps;
    visit(
        name,
        std::vector<T>(all[p].second->begin() + first * step, all[p].second->begin() + last * step),
        *part[p].second);
  }
}

template <class T>
class MlstmResets : public testing::Test {};
using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(MlstmResets, Types);

TYPED_TEST(MlstmResets, ADocumentThatStartsAtAChunkBorderHasTheBitsOfItselfAlone) {
  // given one that ends with the window, or before another inside of a chunk
  for (int64_t last : {70, 57}) {
    for (double initial_m : {0.0, -kInfinity}) {
      auto x = RandomCase<TypeParam>(Shape(70, 2, 2, 12, 20, 16), 21, -1);
      x.shape.initial_m = initial_m;
      StartDocument(x, 32);
      if (last < 70) StartDocument(x, last);

      const auto y = RunMlstm(x, Paths().back(), 1);
      const auto alone = RunMlstm(Alone(x, 32, last), Paths().back(), 1);

      ForEachRowTensor(x.shape, y, 32, last, alone, [](auto name, auto in_window, auto by_itself) {
        EXPECT_TRUE(SameBits(in_window, by_itself)) << name;
      });
      if (last < 70) continue;
      EXPECT_TRUE(SameBits(y.c_last, alone.c_last));
      EXPECT_TRUE(SameBits(y.n_last, alone.n_last));
      EXPECT_TRUE(SameBits(y.m_last, alone.m_last));
    }
  }
}

TYPED_TEST(MlstmResets, TheDocumentBeforeAChunkBorderHasItsBitsToo) {
  auto x = RandomCase<TypeParam>(Shape(70, 2, 2, 12, 20, 16), 22);
  StartDocument(x, 32);

  const auto y = RunMlstm(x, Paths().back(), 1);
  const auto alone = RunMlstm(Alone(x, 0, 32), Paths().back(), 1);

  ForEachRowTensor(x.shape, y, 0, 32, alone, [](auto name, auto in_window, auto by_itself) {
    EXPECT_TRUE(SameBits(in_window, by_itself)) << name;
  });
  EXPECT_TRUE(SameBits(y.dc, alone.dc));
  EXPECT_TRUE(SameBits(y.dn, alone.dn));
}

TEST(MlstmResetsInDouble, AnyDocumentAgreesWithItselfAlone) {
  for (double initial_m : {0.0, -kInfinity}) {
    auto x = RandomCase<double>(Shape(70, 2, 2, 12, 20, 16), 23, -1);
    x.shape.initial_m = initial_m;
    const std::vector<int64_t> borders = {0, 5, 21, 22, 41, 70};
    for (size_t p = 1; p + 1 < borders.size(); ++p) StartDocument(x, borders[p]);

    const auto y = RunMlstm(x, Paths().back(), 1);

    for (size_t p = 0; p + 1 < borders.size(); ++p) {
      const int64_t first = borders[p], last = borders[p + 1];
      const auto alone = RunMlstm(Alone(x, first, last), Paths().back(), 1);
      ForEachRowTensor(x.shape, y, first, last, alone, [](auto name, auto in_window, auto itself) {
        for (size_t e = 0; e < itself.size(); ++e) {
          ASSERT_NEAR(in_window[e], itself[e], 1e-11 * (1 + std::abs(itself[e]))) << name;
        }
      });
    }
  }
}

TYPED_TEST(MlstmResets, NothingDependsOnAnotherDocumentsValues) {
  // given a document with neighbours on both sides, which begin and end inside of chunks
  auto x = RandomCase<TypeParam>(Shape(80, 2, 1, 12, 20, 16), 24, -1);
  const int64_t first = 21, last = 55;
  StartDocument(x, first);
  StartDocument(x, last);
  const auto y = RunMlstm(x, Paths().back(), 1, {32, 48});

  for (TypeParam garbage : {TypeParam(1e30), std::numeric_limits<TypeParam>::quiet_NaN()}) {
    // when the neighbours, and the states of the window's ends, hold garbage
    auto z = x;
    for (auto* values : {&z.q, &z.k, &z.v, &z.i, &z.f, &z.dh}) {
      const int64_t step = static_cast<int64_t>(values->size()) / x.shape.steps;
      for (int64_t e = 0; e < static_cast<int64_t>(values->size()); ++e) {
        if (e < first * step || e >= last * step) (*values)[e] = garbage;
      }
    }
    for (auto* values : {&z.c, &z.n, &z.m, &z.dc, &z.dn}) values->assign(values->size(), garbage);

    // then every bit of the document is what it was
    for (Isa isa : Paths()) {
      const auto changed = RunMlstm(z, isa, 1, {32, 48});
      const auto document = Alone(x, first, last);
      const auto keep = [&](const MlstmOutcome<TypeParam>& whole) {
        MlstmOutcome<TypeParam> rows;
        const auto cut = [&](const std::vector<TypeParam>& values) {
          const int64_t step = static_cast<int64_t>(values.size()) / x.shape.steps;
          return std::vector<TypeParam>(values.begin() + first * step,
                                        values.begin() + last * step);
        };
        rows.h = cut(whole.h), rows.r = cut(whole.r), rows.m = cut(whole.m);
        rows.dq = cut(whole.dq), rows.dk = cut(whole.dk), rows.dv = cut(whole.dv);
        rows.di = cut(whole.di), rows.df = cut(whole.df);
        return rows;
      };
      ForEachRowTensor(
          x.shape, changed, first, last, keep(y),
          [](auto name, auto after, auto before) { EXPECT_TRUE(SameBits(after, before)) << name; });
    }
  }
}

TYPED_TEST(MlstmResets, TheForgetGateOfAFirstRowHasNoGradient) {
  auto x = RandomCase<TypeParam>(Shape(40, 1, 1, 8, 8, 16), 25);
  for (int64_t step : {0, 7, 16, 33}) StartDocument(x, step);

  const auto y = RunMlstm(x, Paths().back(), 1);

  for (int64_t step : {0, 7, 16, 33}) EXPECT_EQ(y.df[step], 0) << step;
  EXPECT_NE(y.df[8], 0);
}

}  // namespace
}  // namespace carousel::kernels
