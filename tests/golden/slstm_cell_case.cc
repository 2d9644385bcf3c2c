// The sLSTM cell by itself: the whole sequence, and one segment a step, which shows every state.
//
// One difference to the reference is by design: whether a sequence starts (n == 0) is asked per
// element here and for the whole batch there. Where only a part of the batch starts, the stabiliser
// m differs from the reference's, and with it c and n, which carry exp(-m); h does not. States are
// then compared at the reference's m.

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/status_macros.h"
#include "kernels/slstm.h"
#include "tests/golden/cases.h"
#include "tests/golden/layout.h"

namespace carousel::golden {
namespace {

using kernels::SlstmState;
using kernels::Span;

struct Inputs {
  int64_t batch = 0, heads = 0, steps = 0, head_dim = 0;
  Values x, r, b;  // as the operation takes them
  bool has_state = false;
  Values state0;              // [4, B, D]: y, c, n, m
  bool starts_apart = false;  // some elements of state0 start, others do not
  Values wh, ws;

  int64_t dim() const { return heads * head_dim; }
  int64_t part() const { return batch * dim(); }  // elements of y, of c...
};

absl::StatusOr<Inputs> ReadInputs(const GoldenFile& file) {
  Inputs in;
  CAROUSEL_ASSIGN_OR_RETURN(const Shape h, file.ShapeOf("wh"));
  if (h.size() != 4) {
    return absl::InvalidArgumentError(absl::StrCat(file.path(), ": wh must be [B, H, S, D]"));
  }
  in.batch = h[0], in.heads = h[1], in.steps = h[2], in.head_dim = h[3];
  const int64_t d = in.dim();
  CAROUSEL_ASSIGN_OR_RETURN(const Values x, file.Get("x", {in.batch, in.steps, 4 * d}));
  in.x = TimeMajor(x, in.batch, in.steps);
  CAROUSEL_ASSIGN_OR_RETURN(
      const Values r, file.Get("_recurrent_kernel_", {in.heads, 4 * in.head_dim, in.head_dim}));
  in.r = IndependentKernel(r, in.heads, in.head_dim);
  CAROUSEL_ASSIGN_OR_RETURN(const Values b, file.Get("_bias_", {4 * d}));
  in.b = IndependentBias(b, in.heads, in.head_dim);
  CAROUSEL_ASSIGN_OR_RETURN(const Values wh, file.Get("wh", h));
  in.wh = RowsOfHeads(wh, in.batch, in.heads, in.steps);
  CAROUSEL_ASSIGN_OR_RETURN(in.ws, file.Get("ws", {4, in.batch, d}));
  in.has_state = file.Has("state0");
  in.state0.assign(4 * in.part(), 0);
  if (in.has_state) {
    CAROUSEL_ASSIGN_OR_RETURN(in.state0, file.Get("state0", {4, in.batch, d}));
  }
  const auto n = in.state0.begin() + 2 * in.part();
  const auto starting = std::count(n, n + in.part(), 0.0);
  in.starts_apart = starting > 0 && starting < in.part();
  return in;
}

// Part 0...3 of a state [4, ...]: y, c, n, m.
Values Part(const Values& state, int64_t part) {
  const auto size = static_cast<int64_t>(state.size()) / 4;
  return Values(state.begin() + part * size, state.begin() + (part + 1) * size);
}

class Cell {
 public:
  Cell(Device& device, const Inputs& in, int64_t segment_steps)
      : device_(device),
        in_(in),
        segment_steps_(segment_steps),
        segments_((in.steps + segment_steps - 1) / segment_steps),
        x_(device.Upload(in.x)),
        r_(device.Upload(in.r)),
        b_(device.Upload(in.b)),
        reset_(device.NoResets(in.steps * in.batch)),
        h_(device.Zeros(rows())),
        gates_(device.Zeros(4 * rows())),
        keep_(device.Zeros(rows())),
        c_(device.Zeros(rows())),
        n_(device.Zeros(rows())),
        h_before_(device.Zeros(rows())) {
    for (int64_t border = 0; border <= segments_; ++border) state_.push_back(NewState());
    if (!in.has_state) return;
    const SlstmState& first = state_[0];
    int64_t part = 0;
    for (Span span : {first.h, first.c, first.n, first.m}) {
      device.Write(Part(in.state0, part++), span);
    }
  }

  int64_t segments() const { return segments_; }

  void Forward() {
    for (int64_t s = 0; s < segments_; ++s) {
      device_.Run(kernels::SlstmForward{.shape = ShapeOf(s),
                                        .x = Rows(x_, s, 4),
                                        .r = r_,
                                        .b = b_,
                                        .reset = Resets(s),
                                        .in = Into(s),
                                        .h = Rows(h_, s),
                                        .gates = Rows(gates_, s, 4),
                                        .keep = Rows(keep_, s),
                                        .c = Rows(c_, s),
                                        .n = Rows(n_, s),
                                        .h_before = Rows(h_before_, s),
                                        .out = state_[s + 1]});
    }
  }

  // Gradients of sum(wh * h) + sum(ws * state), `ws` [4, B, D] or empty; m is a constant.
  void Backward(const Values& ws) {
    const Span dy = device_.Upload(in_.wh);
    draw_ = device_.Zeros(4 * rows());
    SlstmState dout;
    if (!ws.empty()) {
      dout = {device_.Upload(Part(ws, 0)),
              device_.Upload(Part(ws, 1)),
              device_.Upload(Part(ws, 2)),
              {}};
    }
    dr_ = device_.Zeros(r_.size()), db_ = device_.Zeros(b_.size());
    for (int64_t s = segments_ - 1; s >= 0; --s) {
      SlstmState din = NewState();
      din.m = {};
      device_.Run(kernels::SlstmBackwardInput{.shape = ShapeOf(s),
                                              .r = r_,
                                              .reset = Resets(s),
                                              .in = Into(s),
                                              .h = Rows(h_, s),
                                              .gates = Rows(gates_, s, 4),
                                              .keep = Rows(keep_, s),
                                              .c = Rows(c_, s),
                                              .n = Rows(n_, s),
                                              .dy = Rows(dy, s),
                                              .dout = dout,
                                              .draw = Rows(draw_, s, 4),
                                              .din = din});
      device_.Run(kernels::SlstmBackwardWeight{.shape = ShapeOf(s),
                                               .h_before = Rows(h_before_, s),
                                               .draw = Rows(draw_, s, 4),
                                               .dr = dr_,
                                               .db = db_});
      dout = din;
    }
    dstate0_ = dout;
  }

  Values h() const { return HeadsOfRows(device_.Download(h_), in_.batch, in_.heads, in_.steps); }
  // [4, B, D]
  Values State(int64_t border) const {
    if (border == 0) return in_.state0;
    const SlstmState& state = state_[border];
    Values all;
    for (Span part : {state.h, state.c, state.n, state.m}) {
      const Values values = device_.Download(part);
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  }
  Values dx() const { return SequenceMajor(device_.Download(draw_), in_.batch, in_.steps); }
  Values dr() const { return VanillaKernel(device_.Download(dr_), in_.heads, in_.head_dim); }
  Values db() const { return VanillaBias(device_.Download(db_), in_.heads, in_.head_dim); }
  // [4, B, D], 0 for m
  Values dstate0() const {
    Values all;
    for (Span part : {dstate0_.h, dstate0_.c, dstate0_.n}) {
      const Values values = device_.Download(part);
      all.insert(all.end(), values.begin(), values.end());
    }
    all.resize(4 * in_.part(), 0);
    return all;
  }

 private:
  int64_t rows() const { return in_.steps * in_.part(); }
  int64_t First(int64_t s) const { return s * segment_steps_; }
  int64_t Steps(int64_t s) const { return std::min(segment_steps_, in_.steps - First(s)); }
  kernels::SlstmShape ShapeOf(int64_t s) const {
    return {.steps = Steps(s), .batch = in_.batch, .heads = in_.heads, .head_dim = in_.head_dim};
  }
  SlstmState NewState() const {
    return {device_.Zeros(in_.part()), device_.Zeros(in_.part()), device_.Zeros(in_.part()),
            device_.Zeros(in_.part())};
  }
  SlstmState Into(int64_t s) const { return s > 0 || in_.has_state ? state_[s] : SlstmState(); }
  Span Rows(Span all, int64_t s, int64_t gates = 1) const {
    const int64_t row = gates * in_.part();
    return all.Slice(First(s) * row, Steps(s) * row);
  }
  Span Resets(int64_t s) const { return reset_.Slice(First(s) * in_.batch, Steps(s) * in_.batch); }

  Device& device_;
  const Inputs& in_;
  const int64_t segment_steps_, segments_;
  const Span x_, r_, b_, reset_, h_, gates_, keep_, c_, n_, h_before_;
  Span draw_, dr_, db_;
  std::vector<SlstmState> state_;
  SlstmState dstate0_;
};

// `state` [4, ...] with its c and n at the stabiliser of `reference`: c exp(m) = c' exp(m').
Values AtStabiliserOf(const Values& reference, const Values& state) {
  const auto size = static_cast<int64_t>(state.size()) / 4;
  Values moved = state;
  for (int64_t j = 0; j < size; ++j) {
    const double factor = std::exp(state[3 * size + j] - reference[3 * size + j]);
    moved[size + j] *= factor;
    moved[2 * size + j] *= factor;
    moved[3 * size + j] = reference[3 * size + j];
  }
  return moved;
}

absl::Status CheckState(const GoldenFile& file, const Inputs& in, const std::string& name,
                        const Values& ours, const std::string& label, Comparison& comparison) {
  if (!in.starts_apart) return comparison.Check(Group::kOutput, name, ours, label);
  CAROUSEL_ASSIGN_OR_RETURN(const Tensor truth, file.Get(name));
  if (truth.values.size() != ours.size()) {
    return absl::InvalidArgumentError(absl::StrCat(file.path(), ": tensor ", name, " is ",
                                                   Text(truth.shape), ", ours has ", ours.size(),
                                                   " elements"));
  }
  return comparison.CheckDerived(Group::kOutput, name, truth.values,
                                 AtStabiliserOf(truth.values, ours), label);
}

// states_all [4, S + 1, B, D] from the states between one-step segments.
absl::Status CheckAllStates(const GoldenFile& file, const Inputs& in, const Cell& cell,
                            Comparison& comparison) {
  Values all(4 * (in.steps + 1) * in.part());
  for (int64_t step = 0; step <= in.steps; ++step) {
    const Values state = cell.State(step);
    for (int64_t part = 0; part < 4; ++part) {
      std::copy_n(state.begin() + part * in.part(), in.part(),
                  all.begin() + (part * (in.steps + 1) + step) * in.part());
    }
  }
  return CheckState(file, in, "states_all", all, "", comparison);
}

// The gradient of the initial c and n where the sequence starts at this element (n == 0) is of no
// use to anyone, and differs: there f is cut off at 1.
void LeaveOutStarts(const Inputs& in, Values& dstate0) {
  for (int64_t j = 0; j < in.part(); ++j) {
    if (in.state0[2 * in.part() + j] != 0) continue;
    dstate0[in.part() + j] = 0;
    dstate0[2 * in.part() + j] = 0;
  }
}

absl::Status CheckGradients(const GoldenFile& file, const Inputs& in, Cell& cell,
                            const std::string& label, Comparison& comparison) {
  for (bool states : {false, true}) {
    Values ws;
    if (states) {
      // The functional weighs the reference's c and n; ours are those times exp(m_ref - m).
      CAROUSEL_ASSIGN_OR_RETURN(const Tensor last, file.Get("state_last"));
      ws = in.ws;
      const Values m = Part(cell.State(cell.segments()), 3);
      for (int64_t j = 0; in.starts_apart && j < in.part(); ++j) {
        const double factor = std::exp(m[j] - last.values[3 * in.part() + j]);
        ws[in.part() + j] *= factor;
        ws[2 * in.part() + j] *= factor;
      }
    }
    cell.Backward(ws);
    const std::string prefix = states ? "grad_hs_mdetach." : "grad_h_mdetach.";
    const Group group = Group::kGradient;
    CAROUSEL_RETURN_IF_ERROR(comparison.Check(group, prefix + "x", cell.dx(), label));
    CAROUSEL_RETURN_IF_ERROR(
        comparison.Check(group, prefix + "_recurrent_kernel_", cell.dr(), label));
    CAROUSEL_RETURN_IF_ERROR(comparison.Check(group, prefix + "_bias_", cell.db(), label));
    if (!in.has_state) continue;
    CAROUSEL_ASSIGN_OR_RETURN(Values truth, file.Get(prefix + "state0", {4, in.batch, in.dim()}));
    Values ours = cell.dstate0();
    if (in.starts_apart) {
      LeaveOutStarts(in, truth);
      LeaveOutStarts(in, ours);
    }
    CAROUSEL_RETURN_IF_ERROR(comparison.CheckDerived(group, prefix + "state0", truth, ours, label));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunSlstmCell(const GoldenFile& file, Device& device, Comparison& comparison) {
  CAROUSEL_ASSIGN_OR_RETURN(const Inputs in, ReadInputs(file));
  for (int64_t segment_steps : {in.steps, int64_t{1}}) {
    const std::string label = segment_steps == 1 ? "step by step" : "";
    Cell cell(device, in, segment_steps);
    cell.Forward();
    CAROUSEL_RETURN_IF_ERROR(comparison.Check(Group::kOutput, "h", cell.h(), label));
    CAROUSEL_RETURN_IF_ERROR(
        CheckState(file, in, "state_last", cell.State(cell.segments()), label, comparison));
    if (segment_steps == 1 && file.Has("states_all")) {
      CAROUSEL_RETURN_IF_ERROR(CheckAllStates(file, in, cell, comparison));
    }
    CAROUSEL_RETURN_IF_ERROR(CheckGradients(file, in, cell, label, comparison));
  }
  return absl::OkStatus();
}

}  // namespace carousel::golden
