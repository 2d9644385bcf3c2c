// One document in a window: its rows of a tensor by themselves, and garbage in all others.
#pragma once

#include <cstdint>
#include <vector>

namespace carousel::kernels {

// Times [first, first + count) of one sequence; row t * batch + b is time t of sequence b.
struct DocumentRows {
  int64_t batch, sequence, first, count;

  bool Has(int64_t row) const {
    const int64_t t = row / batch;
    return row % batch == sequence && t >= first && t < first + count;
  }

  // Those of a tensor with `columns` elements a row.
  template <class T>
  std::vector<T> Of(const std::vector<T>& tensor, int64_t columns) const {
    std::vector<T> rows;
    for (int64_t t = first; t < first + count; ++t) {
      const auto row = tensor.begin() + (t * batch + sequence) * columns;
      rows.insert(rows.end(), row, row + columns);
    }
    return rows;
  }

  template <class T>
  void PoisonOthers(std::vector<T>& tensor, int64_t columns, T garbage) const {
    for (int64_t e = 0; e < static_cast<int64_t>(tensor.size()); ++e) {
      if (!Has(e / columns)) tensor[e] = garbage;
    }
  }
};

}  // namespace carousel::kernels
