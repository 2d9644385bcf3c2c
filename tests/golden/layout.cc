#include "tests/golden/layout.h"

#include "cluster/check.h"

namespace carousel::golden {

Values Permute(const Values& values, const Shape& shape, const std::vector<int>& order) {
  const int rank = static_cast<int>(shape.size());
  CAROUSEL_CHECK(Elements(shape) == static_cast<int64_t>(values.size()) &&
                 static_cast<int>(order.size()) == rank);
  Shape stride(rank, 1);
  for (int axis = rank - 2; axis >= 0; --axis) stride[axis] = stride[axis + 1] * shape[axis + 1];

  Values result;
  result.reserve(values.size());
  Shape at(rank, 0);  // in the result's axes
  for (size_t element = 0; element < values.size(); ++element) {
    int64_t from = 0;
    for (int axis = 0; axis < rank; ++axis) from += at[axis] * stride[order[axis]];
    result.push_back(values[from]);
    for (int axis = rank - 1; axis >= 0 && ++at[axis] == shape[order[axis]]; --axis) at[axis] = 0;
  }
  return result;
}

}  // namespace carousel::golden
