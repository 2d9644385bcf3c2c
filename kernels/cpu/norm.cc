#include "kernels/norm.h"

#include "kernels/cpu/lanes.h"
#include "kernels/cpu/run.h"
#include "kernels/cpu/split.h"
#include "kernels/cpu/typed.h"

namespace carousel::kernels::CAROUSEL_ISA {
namespace {

// Calls body(group): one group of one row each, numbered row * groups + group.
template <class Body>
void ForEachGroup(Context& context, const NormShape& shape, const Body& body) {
  ParallelRows(context, shape.rows, shape.groups * shape.width, [&](int64_t first, int64_t rows) {
    for (int64_t group = first * shape.groups; group < (first + rows) * shape.groups; ++group) body(group);
  });
}

template <class T>
[[gnu::always_inline]] inline Vec<T> Scale(const NormShape& shape, const T* weight, int64_t i, int64_t n) {
  const Vec<T> w = LoadUpTo<T>(weight + i, n);
  return shape.residual_weight ? w + static_cast<T>(1) : w;
}

template <class T>
void ForwardGroup(const NormShape& shape, const T* x, const T* weight, T* y, T* stats) {
  const T width = static_cast<T>(shape.width);
  T mean = 0;
  if (shape.center) {
    LaneSums<T> sum;
    sum.AddRow(shape.width, [&](int64_t i, int64_t n) { return LoadUpTo<T>(x + i, n); });
    mean = sum.Fold() / width;
  }
  LaneSums<T> squares;
  squares.AddProducts(shape.width, [&](int64_t i, int64_t n, Vec<T>& a, Vec<T>& b) { a = b = LoadUpTo<T>(x + i, n) - mean; });
  const T rstd = static_cast<T>(1) / Sqrt(squares.Fold() / width + static_cast<T>(shape.epsilon));
  ForEachVector<T>(shape.width, [&](int64_t i, int64_t n) {
    StoreUpTo<T>(y + i, (LoadUpTo<T>(x + i, n) - mean) * rstd * Scale<T>(shape, weight, i, n), n);
  });
  stats[0] = mean;
  stats[1] = rstd;
}

template <class T>
void BackwardGroup(const NormShape& shape, const T* x, const T* weight, const T* stats, const T* dy, const T* residual, T* dx) {
  const T mean = stats[0], rstd = stats[1], width = static_cast<T>(shape.width);
  auto g = [&](int64_t i, int64_t n) { return LoadUpTo<T>(dy + i, n) * Scale<T>(shape, weight, i, n); };
  auto xhat = [&](int64_t i, int64_t n) { return (LoadUpTo<T>(x + i, n) - mean) * rstd; };
  T mean_g = 0;
  if (shape.center) {
    LaneSums<T> sum;
    sum.AddRow(shape.width, g);
    mean_g = sum.Fold() / width;
  }
  LaneSums<T> products;
  products.AddProducts(shape.width, [&](int64_t i, int64_t n, Vec<T>& a, Vec<T>& b) {
    a = g(i, n);
    b = xhat(i, n);
  });
  const T mean_product = products.Fold() / width;
  ForEachVector<T>(shape.width, [&](int64_t i, int64_t n) {
    const Vec<T> inner = g(i, n) - mean_g - xhat(i, n) * mean_product;
    const Vec<T> through = inner * rstd;
    StoreUpTo<T>(dx + i, residual == nullptr ? through : LoadUpTo<T>(residual + i, n) + through, n);
  });
}

}  // namespace

void Run(Context& context, const NormForward& op) {
  Typed(op.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const NormShape& shape = op.shape;
    const T* x = op.x.As<T>();
    const T* weight = op.weight.As<T>();
    T* y = op.y.As<T>();
    T* stats = op.stats.As<T>();
    ForEachGroup(context, shape, [&](int64_t group) {
      const int64_t first = group * shape.width;
      ForwardGroup<T>(shape, x + first, weight + group % shape.groups * shape.width, y + first, stats + group * 2);
    });
  });
}

void Run(Context& context, const NormBackwardInput& op) {
  Typed(op.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const NormShape& shape = op.shape;
    const T* x = op.x.As<T>();
    const T* weight = op.weight.As<T>();
    const T* stats = op.stats.As<T>();
    const T* dy = op.dy.As<T>();
    const T* residual = op.residual.As<T>();
    T* dx = op.dx.As<T>();
    ForEachGroup(context, shape, [&](int64_t group) {
      const int64_t first = group * shape.width;
      BackwardGroup<T>(shape, x + first, weight + group % shape.groups * shape.width, stats + group * 2, dy + first,
                       residual == nullptr ? nullptr : residual + first, dx + first);
    });
  });
}

void Run(Context& context, const NormBackwardWeight& op) {
  Typed(op.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const NormShape& shape = op.shape;
    const int64_t stride = shape.groups * shape.width;
    const T* x = op.x.As<T>();
    const T* stats = op.stats.As<T>();
    const T* dy = op.dy.As<T>();
    T* dweight = op.dweight.As<T>();
    ParallelPieces(context, stride, shape.width < 128 ? shape.width : 128, [&](int64_t first, int64_t columns) {
      // A piece may touch two groups: cut it at the border.
      for (int64_t column = first; column < first + columns;) {
        const int64_t group = column / shape.width;
        const int64_t end = (group + 1) * shape.width < first + columns ? (group + 1) * shape.width : first + columns;
        ForEachVector<T>(end - column, [&](int64_t i, int64_t n) {
          Vec<T> sum = LoadUpTo<T>(dweight + column + i, n);
          for (int64_t row = shape.rows - 1; row >= 0; --row) {
            const T* at = stats + (row * shape.groups + group) * 2;
            const Vec<T> xhat = (LoadUpTo<T>(x + row * stride + column + i, n) - at[0]) * at[1];
            sum = Fma(LoadUpTo<T>(dy + row * stride + column + i, n), xhat, sum);
          }
          StoreUpTo<T>(dweight + column + i, sum, n);
        });
        column = end;
      }
    });
  });
}

}  // namespace carousel::kernels::CAROUSEL_ISA
