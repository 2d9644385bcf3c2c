// How the sLSTM's work is divided: time runs inside of a task, heads (and groups of sequences, if
// there are more threads than heads) are tasks. What a task needs at every step, its head's R among
// it, stays in its cache.
#pragma once

#include "kernels/check.h"
#include "kernels/cpu/matmul.h"
#include "kernels/slstm.h"

namespace carousel::kernels::CAROUSEL_ISA {

inline constexpr int64_t kGates = 4;

// One head of sequences [first, first + count) of the batch.
struct SlstmTask {
  int64_t head, first, count;
};

// Which task works on what.
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

// Cuts one thread's scratch memory into arrays, each aligned to 64.
template <class T>
class Carver {
 public:
  explicit Carver(T* memory) : next_(memory) {}
  T* Take(int64_t size) {
    T* taken = next_;
    next_ += Size(size);
    return taken;
  }
  static int64_t Size(int64_t size) {
    constexpr int64_t kAlign = 64 / sizeof(T);
    return (size + kAlign - 1) / kAlign * kAlign;
  }

 private:
  T* next_;
};

inline bool IsReset(const uint8_t* reset, int64_t flag) {
  return reset != nullptr && reset[flag] != 0;
}

}  // namespace carousel::kernels::CAROUSEL_ISA
