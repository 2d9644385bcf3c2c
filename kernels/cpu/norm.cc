#include "kernels/norm.h"

#include "kernels/cpu/lanes.h"
#include "kernels/cpu/operands.h"
#include "kernels/cpu/run.h"
#include "kernels/cpu/split.h"
#include "kernels/cpu/typed.h"

namespace carousel::kernels::CAROUSEL_ISA {
namespace {

// Calls body(index, column): group `index` = row * G + g of all, whose weights start at `column`.
template <class Body>
void ForEachGroup(Context& context, const NormShape& shape, const Body& body) {
  ParallelRows(context, shape.rows, shape.groups * shape.width, [&](int64_t first, int64_t rows) {
    for (int64_t row = first; row < first + rows; ++row) {
      for (int64_t group = 0; group < shape.groups; ++group) {
        body(row * shape.groups + group, group * shape.width);
      }
    }
  });
}

// The weights of a group as they scale: with `shift` 1 where the tensor holds deviations from 1.
template <class T>
struct Scale {
  Scale(const NormShape& shape, const T* weight)
      : weight(weight), shift(shape.residual_weight ? 1 : 0) {}
  [[gnu::always_inline]] Vec<T> operator()(int64_t i, int64_t n) const {
    return LoadUpTo<T>(weight + i, n) + shift;
  }
  const T* weight;
  T shift;
};

template <class T>
void Forward(const NormShape& shape, const T* x, const T* weight, T* y, T* stats) {
  const int64_t width = shape.width;
  const T mean = shape.center ? Sum<T>(x, width) / static_cast<T>(width) : T(0);
  Lanes<T> squares;
  ForEachLaneVector<T>(width, [&](int64_t part, int64_t i, int64_t n) {
    const Vec<T> deviation = LoadUpTo<T>(x + i, n) - mean;
    squares.AddProduct(part, deviation, deviation, n);
  });
  const T variance = squares.Fold() / static_cast<T>(width);
  const T rstd = T(1) / Sqrt(variance + static_cast<T>(shape.epsilon));
  const Scale<T> scale(shape, weight);
  ForEachVector<T>(width, [&](int64_t i, int64_t n) {
    StoreUpTo<T>(y + i, (LoadUpTo<T>(x + i, n) - mean) * rstd * scale(i, n), n);
  });
  stats[0] = mean;
  stats[1] = rstd;
}

template <class T>
void BackwardInput(const NormShape& shape, const T* x, const T* weight, const T* stats, const T* dy,
                   const T* residual, T* dx) {
  const T mean = stats[0], rstd = stats[1], width = static_cast<T>(shape.width);
  const Scale<T> scale(shape, weight);
  Lanes<T> sum, products;
  ForEachLaneVector<T>(shape.width, [&](int64_t part, int64_t i, int64_t n) {
    const Vec<T> g = LoadUpTo<T>(dy + i, n) * scale(i, n);
    sum.Add(part, g, n);
    products.AddProduct(part, g, (LoadUpTo<T>(x + i, n) - mean) * rstd, n);
  });
  const T mean_g = shape.center ? sum.Fold() / width : T(0);
  const T mean_product = products.Fold() / width;
  ForEachVector<T>(shape.width, [&](int64_t i, int64_t n) {
    const Vec<T> g = LoadUpTo<T>(dy + i, n) * scale(i, n);
    const Vec<T> xhat = (LoadUpTo<T>(x + i, n) - mean) * rstd;
    const Vec<T> through = (g - mean_g - xhat * mean_product) * rstd;
    StoreUpTo<T>(dx + i, residual == nullptr ? through : LoadUpTo<T>(residual + i, n) + through, n);
  });
}

// Sizes of a norm's operands.
int64_t RowSize(const NormShape& shape) { return shape.groups * shape.width; }
int64_t Elements(const NormShape& shape) { return shape.rows * RowSize(shape); }
int64_t StatsSize(const NormShape& shape) { return shape.rows * shape.groups * 2; }
void CheckShape(const NormShape& shape) {
  KERNEL_CHECK(shape.rows >= 0 && shape.groups > 0 && shape.width > 0);
}

}  // namespace

void Run(Context& context, const NormForward& op) {
  CheckShape(op.shape);
  KERNEL_CHECK(Holds(op.x, Elements(op.shape)));
  KERNEL_CHECK(Holds(op.weight, RowSize(op.shape)));
  KERNEL_CHECK(Holds(op.y, Elements(op.shape)));
  KERNEL_CHECK(Holds(op.stats, StatsSize(op.shape)));
  Typed(op.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* x = op.x.As<T>();
    const T* weight = op.weight.As<T>();
    T* y = op.y.As<T>();
    T* stats = op.stats.As<T>();
    ForEachGroup(context, op.shape, [&](int64_t index, int64_t column) {
      const int64_t at = index * op.shape.width;
      Forward<T>(op.shape, x + at, weight + column, y + at, stats + 2 * index);
    });
  });
}

void Run(Context& context, const NormBackwardInput& op) {
  CheckShape(op.shape);
  KERNEL_CHECK(Holds(op.x, Elements(op.shape)));
  KERNEL_CHECK(Holds(op.weight, RowSize(op.shape)));
  KERNEL_CHECK(Holds(op.stats, StatsSize(op.shape)));
  KERNEL_CHECK(Holds(op.dy, Elements(op.shape)));
  KERNEL_CHECK(IsEmptyOrHolds(op.residual, Elements(op.shape)));
  KERNEL_CHECK(Holds(op.dx, Elements(op.shape)));
  Typed(op.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* x = op.x.As<T>();
    const T* weight = op.weight.As<T>();
    const T* stats = op.stats.As<T>();
    const T* dy = op.dy.As<T>();
    const T* residual = op.residual.As<T>();
    T* dx = op.dx.As<T>();
    ForEachGroup(context, op.shape, [&](int64_t index, int64_t column) {
      const int64_t at = index * op.shape.width;
      BackwardInput<T>(op.shape, x + at, weight + column, stats + 2 * index, dy + at,
                       residual == nullptr ? nullptr : residual + at, dx + at);
    });
  });
}

void Run(Context& context, const NormBackwardWeight& op) {
  CheckShape(op.shape);
  KERNEL_CHECK(Holds(op.x, Elements(op.shape)));
  KERNEL_CHECK(Holds(op.stats, StatsSize(op.shape)));
  KERNEL_CHECK(Holds(op.dy, Elements(op.shape)));
  KERNEL_CHECK(Holds(op.dweight, RowSize(op.shape)));
  Typed(op.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const NormShape& shape = op.shape;
    const int64_t stride = RowSize(shape);
    const T* x = op.x.As<T>();
    const T* dy = op.dy.As<T>();
    const T* stats = op.stats.As<T>();
    T* dweight = op.dweight.As<T>();
    ParallelColumns(context, stride, [&](int64_t first, int64_t columns) {
      const int64_t end = first + columns;
      for (int64_t column = first; column < end;) {  // up to the end of its group at a time
        const int64_t group = column / shape.width;
        const int64_t count = Min(end, (group + 1) * shape.width) - column;
        ChainOverRows<T>(
            shape.rows, count, dweight + column,
            [&](int64_t row, int64_t i, int64_t n, Vec<T> sum) __attribute__((always_inline)) {
              const T* of_row = stats + 2 * (row * shape.groups + group);
              const int64_t at = row * stride + column + i;
              const Vec<T> xhat = (LoadUpTo<T>(x + at, n) - of_row[0]) * of_row[1];
              return Fma(LoadUpTo<T>(dy + at, n), xhat, sum);
            });
        column += count;
      }
    });
  });
}

}  // namespace carousel::kernels::CAROUSEL_ISA
