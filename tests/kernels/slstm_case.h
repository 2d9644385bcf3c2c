// An sLSTM cell with its tensors, run forward and backward in segments.
#pragma once

#include <utility>
#include <vector>

#include "kernels/cpu/paths.h"
#include "tests/kernels/values.h"

namespace carousel::kernels {

template <class T>
struct SlstmStateValues {
  std::vector<T> h, c, n, m;

  void Resize(int64_t size) {
    for (std::vector<T>* part : {&h, &c, &n, &m}) part->assign(size, 0);
  }
  SlstmState View() const { return {SpanOf(h), SpanOf(c), SpanOf(n), SpanOf(m)}; }
};

// What a case starts from.
template <class T>
struct SlstmCase {
  explicit SlstmCase(const SlstmShape& shape) : shape(shape) {
    x = Values<T>(rows() * 4 * width(), 1);
    for (T& value : x) value *= 3;
    r = Values<T>(width() * 4 * shape.head_dim, 2);
    for (T& value : r) value *= T(0.4);
    b = Values<T>(4 * width(), 3);
    dy = Values<T>(rows() * width(), 4);
    reset.assign(rows(), 0);
  }

  // A state that is not zero. n is positive, as the cell leaves it.
  void GiveState() {
    const int64_t size = shape.batch * width();
    in = {Values<T>(size, 5), Values<T>(size, 6), Values<T>(size, 7), Values<T>(size, 8)};
    for (T& value : in.n) value = value * value + T(0.5);
  }
  // A gradient of the last state that is not zero.
  void WeighLastState() {
    const int64_t size = shape.batch * width();
    dout = {Values<T>(size, 9), Values<T>(size, 10), Values<T>(size, 11), {}};
  }

  int64_t width() const { return shape.heads * shape.head_dim; }
  int64_t rows() const { return shape.steps * shape.batch; }

  SlstmShape shape;
  std::vector<T> x, r, b, dy;
  std::vector<uint8_t> reset;
  SlstmStateValues<T> in, dout;  // empty: zeros
};

// What it comes to.
template <class T>
struct SlstmResult {
  std::vector<T> h, keep, c, n, h_before, gates, draw, dr, db;
  SlstmStateValues<T> out, din;

  std::vector<std::pair<const char*, const std::vector<T>*>> All() const {
    return {{"h", &h},         {"gates", &gates}, {"out.h", &out.h}, {"out.c", &out.c},
            {"out.n", &out.n}, {"out.m", &out.m}, {"draw", &draw},   {"din.h", &din.h},
            {"din.c", &din.c}, {"din.n", &din.n}, {"dr", &dr},       {"db", &db}};
  }
};

template <class T>
testing::AssertionResult SameBits(const SlstmResult<T>& actual, const SlstmResult<T>& expected) {
  return SameBitsOfAll(actual.All(), expected.All());
}

// Runs a case in `segments` segments of equal length: forward from the first to the last, backward
// from the last to the first.
template <class T>
class SlstmRun {
 public:
  SlstmRun(Isa isa, Context& context, SlstmCase<T>& given, int64_t segments)
      : isa_(isa), context_(context), given_(given), segments_(segments) {
    const int64_t size = given.rows() * given.width();
    result_.gates = given.x;  // in place, as a block has it
    for (std::vector<T>* part :
         {&result_.h, &result_.keep, &result_.c, &result_.n, &result_.h_before}) {
      part->resize(size);
    }
    result_.draw.resize(4 * size);
    result_.dr.resize(given.r.size());
    result_.db.resize(given.b.size());
    states_.resize(segments + 1);
    gradients_.resize(segments + 1);
    for (auto& state : states_) state.Resize(given.shape.batch * given.width());
    for (auto& gradient : gradients_) gradient.Resize(given.shape.batch * given.width());
  }

  SlstmResult<T> Run() {
    for (int64_t s = 0; s < segments_; ++s) Forward(s);
    for (int64_t s = segments_ - 1; s >= 0; --s) Backward(s);
    result_.out = states_[segments_];
    result_.din = gradients_[0];
    return result_;
  }

 private:
  SlstmShape Shape() const {
    SlstmShape shape = given_.shape;
    shape.steps /= segments_;
    return shape;
  }
  // Rows of segment s of a tensor with `columns` elements a row.
  template <class U>
  Span Rows(std::vector<U>& values, int64_t s, int64_t columns) const {
    const int64_t size = given_.rows() / segments_ * columns;
    return SpanOf(values).Slice(s * size, size);
  }
  Span Units(std::vector<T>& values, int64_t s) const { return Rows(values, s, given_.width()); }
  Span Gates(std::vector<T>& values, int64_t s) const {
    return Rows(values, s, 4 * given_.width());
  }
  SlstmState Into(int64_t s) {
    if (s > 0) return states_[s].View();
    return given_.in.View();
  }

  void Forward(int64_t s) {
    SlstmForward op;
    op.shape = Shape();
    op.x = op.gates = Gates(result_.gates, s);
    op.r = SpanOf(given_.r), op.b = SpanOf(given_.b);
    op.reset = Rows(given_.reset, s, 1);
    op.in = Into(s), op.out = states_[s + 1].View();
    op.h = Units(result_.h, s), op.keep = Units(result_.keep, s);
    op.c = Units(result_.c, s), op.n = Units(result_.n, s);
    op.h_before = Units(result_.h_before, s);
    RunOn(isa_, context_, op);
  }

  void Backward(int64_t s) {
    SlstmBackwardInput op;
    op.shape = Shape();
    op.r = SpanOf(given_.r), op.reset = Rows(given_.reset, s, 1);
    op.in = Into(s);
    op.h = Units(result_.h, s), op.keep = Units(result_.keep, s);
    op.c = Units(result_.c, s), op.n = Units(result_.n, s);
    op.gates = Gates(result_.gates, s), op.draw = Gates(result_.draw, s);
    op.dy = Units(given_.dy, s);
    op.dout = s + 1 < segments_ ? gradients_[s + 1].View() : given_.dout.View();
    op.din = gradients_[s].View();
    RunOn(isa_, context_, op);
    SlstmBackwardWeight weight;
    weight.shape = Shape();
    weight.h_before = Units(result_.h_before, s), weight.draw = op.draw;
    weight.dr = SpanOf(result_.dr), weight.db = SpanOf(result_.db);
    RunOn(isa_, context_, weight);
  }

  const Isa isa_;
  Context& context_;
  SlstmCase<T>& given_;
  const int64_t segments_;
  SlstmResult<T> result_;
  std::vector<SlstmStateValues<T>> states_, gradients_;  // at segment borders
};

template <class T>
SlstmResult<T> RunSlstm(SlstmCase<T>& given, int64_t segments = 1, Isa isa = Isa::kAvx2,
                        int threads = 1) {
  Context context(threads);
  return SlstmRun<T>(isa, context, given, segments).Run();
}

}  // namespace carousel::kernels
