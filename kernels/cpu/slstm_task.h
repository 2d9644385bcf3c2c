// How the sLSTM's work is divided: time runs inside of a task, heads (and groups of sequences, if
// there are more threads than heads) are tasks. What a task needs at every step, its head's R among
// it, stays in its cache.
#pragma once

#include "kernels/check.h"
#include "kernels/cpu/matmul.h"
#include "kernels/slstm.h"

namespace carousel::kernels::CAROUSEL_ISA {

inline int64_t WidthOf(const SlstmShape& shape) { return shape.heads * shape.head_dim; }
// Elements of a tensor [S, B, D].
inline int64_t UnitsOf(const SlstmShape& shape) {
  return shape.steps * shape.batch * WidthOf(shape);
}
inline void CheckShape(const SlstmShape& shape) {
  KERNEL_CHECK(shape.steps >= 0 && shape.batch >= 0 && shape.heads >= 0 && shape.head_dim >= 0);
}

// One head of sequences [first, first + count) of the batch.
struct SlstmTask {
  int64_t head, first, count;
};

// Which task works on what. Groups of sequences are as equal as may be.
class SlstmTasks {
 public:
  SlstmTasks(const SlstmShape& shape, int threads) : shape_(shape) {
    constexpr int64_t kLargestGroup = 28;  // sequences
    groups_ = CeilDiv(shape.batch, kLargestGroup);
    const int64_t wanted = shape.heads > 0 ? CeilDiv(threads, shape.heads) : 1;
    if (groups_ < wanted) groups_ = wanted;
    if (groups_ > shape.batch) groups_ = shape.batch;
  }

  int64_t count() const { return shape_.heads * groups_; }
  int64_t largest_group() const { return shape_.batch > 0 ? CeilDiv(shape_.batch, groups_) : 0; }
  SlstmTask operator[](int64_t index) const {
    const int64_t group = index % groups_;
    const int64_t first = group * shape_.batch / groups_;
    return {index / groups_, first, (group + 1) * shape_.batch / groups_ - first};
  }

 private:
  static int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

  SlstmShape shape_;
  int64_t groups_;
};

// Where rows of one task lie in tensors of [S, B, D] and [S, B, 4, D].
struct SlstmRows {
  SlstmRows(const SlstmShape& shape, const SlstmTask& task)
      : batch(shape.batch),
        width(shape.heads * shape.head_dim),
        column(task.head * shape.head_dim),
        first(task.first) {}

  // Unit 0 of the head, of sequence `first + b` at step t.
  int64_t Unit(int64_t t, int64_t b) const { return (t * batch + first + b) * width + column; }
  int64_t Gate(int64_t t, int64_t b, int64_t gate) const {
    return ((t * batch + first + b) * kGates + gate) * width + column;
  }
  int64_t Flag(int64_t t, int64_t b) const { return t * batch + first + b; }

  int64_t batch, width, column, first;
};

}  // namespace carousel::kernels::CAROUSEL_ISA
