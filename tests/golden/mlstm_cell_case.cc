// The mLSTM cell by itself: whole sequences and one segment a chunk, with several chunk lengths,
// from m0 = 0 (or the given state) and, forward, from -inf (the parallel form).

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/status_macros.h"
#include "kernels/mlstm.h"
#include "kernels/soft_cap.h"
#include "tests/golden/cases.h"
#include "tests/golden/layout.h"

namespace carousel::golden {
namespace {

using kernels::Matrix;
using kernels::MlstmState;
using kernels::Span;

struct Inputs {
  int64_t batch = 0, heads = 0, steps = 0, qk = 0, v_dim = 0;
  Values q, k, v, i, f;    // time-major; i, f before the soft-cap, if there is one
  double cap = 0;          // 0: none
  bool has_state = false;  // C0, n0, m0 are given; else zeros
  Values c0, n0, m0;
  Values wh, wc, wn;  // weights of the functional, wh time-major
};

absl::StatusOr<Inputs> ReadInputs(const GoldenFile& file) {
  Inputs in;
  CAROUSEL_ASSIGN_OR_RETURN(const Shape q, file.ShapeOf("q"));
  CAROUSEL_ASSIGN_OR_RETURN(const Shape v, file.ShapeOf("v"));
  if (q.size() != 4 || v.size() != 4) {
    return absl::InvalidArgumentError(absl::StrCat(file.path(), ": q and v must be [B, H, S, D]"));
  }
  in.batch = q[0], in.heads = q[1], in.steps = q[2], in.qk = q[3], in.v_dim = v[3];
  auto rows = [&](const std::string& name, const Shape& shape) -> absl::StatusOr<Values> {
    CAROUSEL_ASSIGN_OR_RETURN(const Values values, file.Get(name, shape));
    return RowsOfHeads(values, in.batch, in.heads, in.steps);
  };
  const Shape gate = {in.batch, in.heads, in.steps};
  const Shape value = {in.batch, in.heads, in.steps, in.v_dim};
  const Shape c = {in.batch, in.heads, in.qk, in.v_dim}, n = {in.batch, in.heads, in.qk};
  const bool raw = file.Has("i_raw");
  CAROUSEL_ASSIGN_OR_RETURN(in.q, rows("q", q));
  CAROUSEL_ASSIGN_OR_RETURN(in.k, rows("k", q));
  CAROUSEL_ASSIGN_OR_RETURN(in.v, rows("v", value));
  CAROUSEL_ASSIGN_OR_RETURN(in.i, rows(raw ? "i_raw" : "i", gate));
  CAROUSEL_ASSIGN_OR_RETURN(in.f, rows(raw ? "f_raw" : "f", gate));
  if (raw) in.cap = file.Number("cap", 15);
  CAROUSEL_ASSIGN_OR_RETURN(in.wh, rows("wh", value));
  CAROUSEL_ASSIGN_OR_RETURN(in.wc, file.Get("wC", c));
  CAROUSEL_ASSIGN_OR_RETURN(in.wn, file.Get("wn", n));
  in.has_state = file.Has("C0");
  in.c0.assign(Elements(c), 0);
  in.n0.assign(Elements(n), 0);
  in.m0.assign(in.batch * in.heads, 0);
  if (in.has_state) {
    CAROUSEL_ASSIGN_OR_RETURN(in.c0, file.Get("C0", c));
    CAROUSEL_ASSIGN_OR_RETURN(in.n0, file.Get("n0", n));
    CAROUSEL_ASSIGN_OR_RETURN(in.m0, file.Get("m0", {in.batch, in.heads, 1}));
  }
  return in;
}

// How a run is cut.
struct Cut {
  int64_t chunk;          // L
  int64_t segment_steps;  // a multiple of L, or the whole sequence
  double initial_m = 0;
};

// The cell on a device, its sequence in segments that pass their states on.
class Cell {
 public:
  Cell(Device& device, const Inputs& in, Cut cut)
      : device_(device),
        in_(in),
        cut_(cut),
        q_(device.Upload(in.q)),
        k_(device.Upload(in.k)),
        v_(device.Upload(in.v)),
        i_(device.Upload(in.i)),
        f_(device.Upload(in.f)),
        reset_(device.NoResets(rows())),
        h_(device.Zeros(rows() * in.heads * in.v_dim)),
        r_(device.Zeros(rows() * in.heads)),
        m_(device.Zeros(rows() * in.heads)) {
    for (int64_t first = 0; first < in.steps; first += cut.segment_steps) first_.push_back(first);
    for (int64_t border = 0; border <= segments(); ++border) state_.push_back(NewState());
    if (in.has_state) {
      device.Write(in.c0, state_[0].c);
      device.Write(in.n0, state_[0].n);
      device.Write(in.m0, state_[0].m);
    }
  }

  int64_t segments() const { return static_cast<int64_t>(first_.size()); }

  void Forward() {
    if (in_.cap > 0) {
      for (Span gate : {i_, f_}) {
        device_.Run(kernels::SoftCapForward{.x = gate, .y = gate, .cap = in_.cap});
      }
    }
    for (int64_t s = 0; s < segments(); ++s) {
      device_.Run(kernels::MlstmForward{Operands(s), state_[s + 1]});
    }
  }

  // Gradients of sum(wh * h), with `states` of + sum(wC * C_last) + sum(wn * n_last) too.
  void Backward(bool states) {
    const Span dh = device_.Upload(in_.wh);
    MlstmState dout;
    if (states) dout = {device_.Upload(in_.wc), device_.Upload(in_.wn), {}};
    dq_ = device_.Zeros(q_.size()), dk_ = device_.Zeros(k_.size()), dv_ = device_.Zeros(v_.size());
    di_ = device_.Zeros(i_.size()), df_ = device_.Zeros(f_.size());
    for (int64_t s = segments() - 1; s >= 0; --s) {
      MlstmState din;
      if (s > 0 || in_.has_state) din = NewState();
      din.m = {};
      kernels::MlstmBackward cell{Operands(s)};
      cell.dh = Rows(dh, s, in_.v_dim);
      cell.dout = dout;
      cell.dq = Columns(dq_, s, in_.qk), cell.dk = Columns(dk_, s, in_.qk);
      cell.dv = Columns(dv_, s, in_.v_dim);
      cell.di = Rows(di_, s, 1), cell.df = Rows(df_, s, 1);
      cell.din = din;
      device_.Run(cell);
      dout = din;
    }
    dstate0_ = dout;
    if (in_.cap == 0) return;
    device_.Run(kernels::SoftCapBackward{.y = i_, .dy = di_, .dx = di_, .cap = in_.cap});
    device_.Run(kernels::SoftCapBackward{.y = f_, .dy = df_, .dx = df_, .cap = in_.cap});
  }

  // Results in the file's layouts: [B, H, S, D], gates [B, H, S].
  Values Heads(Span rows) const {
    return HeadsOfRows(device_.Download(rows), in_.batch, in_.heads, in_.steps);
  }
  Values h() const { return Heads(h_); }
  Values r() const { return Heads(r_); }
  Values m() const { return Heads(m_); }
  Values i() const { return Heads(i_); }
  Values f() const { return Heads(f_); }
  Values C(int64_t border) const { return device_.Download(state_[border].c); }
  Values n(int64_t border) const { return device_.Download(state_[border].n); }
  Values m(int64_t border) const { return device_.Download(state_[border].m); }
  std::vector<std::pair<std::string, Values>> Gradients() const {
    const std::string raw = in_.cap > 0 ? "_raw" : "";
    std::vector<std::pair<std::string, Values>> gradients = {{"q", Heads(dq_)},
                                                             {"k", Heads(dk_)},
                                                             {"v", Heads(dv_)},
                                                             {"i" + raw, Heads(di_)},
                                                             {"f" + raw, Heads(df_)}};
    if (in_.has_state) {
      gradients.push_back({"C0", device_.Download(dstate0_.c)});
      gradients.push_back({"n0", device_.Download(dstate0_.n)});
    }
    return gradients;
  }

 private:
  int64_t rows() const { return in_.steps * in_.batch; }
  int64_t Steps(int64_t s) const { return std::min(cut_.segment_steps, in_.steps - first_[s]); }

  kernels::MlstmOperands Operands(int64_t s) const {
    return {.shape = {.steps = Steps(s),
                      .batch = in_.batch,
                      .heads = in_.heads,
                      .qk_dim = in_.qk,
                      .v_dim = in_.v_dim,
                      .chunk = cut_.chunk,
                      .initial_m = cut_.initial_m},
            .q = Columns(q_, s, in_.qk),
            .k = Columns(k_, s, in_.qk),
            .v = Columns(v_, s, in_.v_dim),
            .i = Rows(i_, s, 1),
            .f = Rows(f_, s, 1),
            .reset = Resets(s),
            .in = Into(s),
            .h = Rows(h_, s, in_.v_dim),
            .r = Rows(r_, s, 1),
            .m = Rows(m_, s, 1)};
  }

  MlstmState NewState() const {
    const int64_t states = in_.batch * in_.heads;
    return {device_.Zeros(states * in_.qk * in_.v_dim), device_.Zeros(states * in_.qk),
            device_.Zeros(states)};
  }
  MlstmState Into(int64_t s) const { return s > 0 || in_.has_state ? state_[s] : MlstmState(); }

  // The rows of segment s of an operand with `width` elements a head.
  Span Rows(Span all, int64_t s, int64_t width) const {
    const int64_t row = in_.heads * width;
    return all.Slice(first_[s] * in_.batch * row, Steps(s) * in_.batch * row);
  }
  Matrix Columns(Span all, int64_t s, int64_t width) const {
    return {Rows(all, s, width), in_.heads * width};
  }
  Span Resets(int64_t s) const { return reset_.Slice(first_[s] * in_.batch, Steps(s) * in_.batch); }

  Device& device_;
  const Inputs& in_;
  const Cut cut_;
  const Span q_, k_, v_, i_, f_, reset_, h_, r_, m_;
  Span dq_, dk_, dv_, di_, df_;
  std::vector<int64_t> first_;  // step of each segment
  std::vector<MlstmState> state_;
  MlstmState dstate0_;
};

// [B, H, borders, ...] of what is [B, H, ...] at each border.
Values Stack(const std::vector<Values>& borders, int64_t batch_heads) {
  Values all;
  const int64_t width = static_cast<int64_t>(borders[0].size()) / batch_heads;
  for (int64_t head = 0; head < batch_heads; ++head) {
    for (const Values& border : borders) {
      all.insert(all.end(), border.begin() + head * width, border.begin() + (head + 1) * width);
    }
  }
  return all;
}

absl::Status CheckOutputs(const GoldenFile& file, const Cell& cell, const std::string& prefix,
                          const std::string& label, Comparison& comparison) {
  const int64_t last = cell.segments();
  CAROUSEL_RETURN_IF_ERROR(comparison.Check(Group::kOutput, prefix + "h", cell.h(), label));
  if (!file.Has(prefix + "C_last")) return absl::OkStatus();
  CAROUSEL_RETURN_IF_ERROR(
      comparison.Check(Group::kOutput, prefix + "C_last", cell.C(last), label));
  CAROUSEL_RETURN_IF_ERROR(
      comparison.Check(Group::kOutput, prefix + "n_last", cell.n(last), label));
  return comparison.Check(Group::kOutput, prefix + "m_last", cell.m(last), label);
}

absl::Status CheckGradients(Cell& cell, const std::string& label, Comparison& comparison) {
  for (bool states : {false, true}) {
    cell.Backward(states);
    const std::string prefix = states ? "grad_hs_mdetach." : "grad_h_mdetach.";
    for (const auto& [name, gradient] : cell.Gradients()) {
      CAROUSEL_RETURN_IF_ERROR(comparison.Check(Group::kGradient, prefix + name, gradient, label));
    }
  }
  return absl::OkStatus();
}

// What is kept for backward, row by row.
absl::Status CheckSaved(const GoldenFile& file, const Inputs& in, const Cell& cell,
                        Comparison& comparison) {
  const Values m = cell.m(), r = cell.r();
  if (file.Has("m_all")) {
    const int64_t heads = in.batch * in.heads;
    Values all;
    for (int64_t head = 0; head < heads; ++head) {
      all.push_back(in.m0[head]);
      all.insert(all.end(), m.begin() + head * in.steps, m.begin() + (head + 1) * in.steps);
    }
    CAROUSEL_RETURN_IF_ERROR(comparison.Check(Group::kOutput, "m_all", all));
  }
  if (in.cap > 0) {
    CAROUSEL_RETURN_IF_ERROR(comparison.Check(Group::kOutput, "i", cell.i()));
    CAROUSEL_RETURN_IF_ERROR(comparison.Check(Group::kOutput, "f", cell.f()));
  }
  if (!file.Has("chunk.denom")) return absl::OkStatus();
  Values denominator;
  for (size_t j = 0; j < m.size(); ++j) {
    denominator.push_back(std::max(std::fabs(r[j]), std::exp(-m[j])));
  }
  CAROUSEL_RETURN_IF_ERROR(comparison.Check(Group::kOutput, "chunk.denom", denominator));
  return comparison.Check(Group::kOutput, "chunk.m_row", m);
}

// States at the chunk borders: what a pipeline hands on.
absl::Status CheckBorders(const GoldenFile& file, const Inputs& in, const Cell& cell,
                          Comparison& comparison) {
  if (!file.Has("chunk.C_states")) return absl::OkStatus();
  std::vector<Values> c = {in.c0}, n = {in.n0}, m = {in.m0};
  for (int64_t border = 1; border <= cell.segments(); ++border) {
    c.push_back(cell.C(border));
    n.push_back(cell.n(border));
    m.push_back(cell.m(border));
  }
  const int64_t heads = in.batch * in.heads;
  CAROUSEL_RETURN_IF_ERROR(comparison.Check(Group::kOutput, "chunk.C_states", Stack(c, heads)));
  CAROUSEL_RETURN_IF_ERROR(comparison.Check(Group::kOutput, "chunk.n_states", Stack(n, heads)));
  return comparison.Check(Group::kOutput, "chunk.m_states", Stack(m, heads));
}

}  // namespace

absl::Status RunMlstmCell(const GoldenFile& file, Device& device, Comparison& comparison) {
  CAROUSEL_ASSIGN_OR_RETURN(const Inputs in, ReadInputs(file));
  const int64_t chunk = file.Int("chunk", 16);
  if (chunk < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.path(), ": config.chunk is ", chunk, ", at least 1 is needed"));
  }
  for (const Cut& cut : {Cut{chunk, in.steps}, Cut{64, in.steps}, Cut{chunk, chunk}}) {
    Cell cell(device, in, cut);
    cell.Forward();
    const bool segmented = cut.segment_steps < in.steps;
    const std::string label = absl::StrCat("L=", cut.chunk, segmented ? " segmented" : "");
    CAROUSEL_RETURN_IF_ERROR(CheckOutputs(file, cell, "", label, comparison));
    if (cut.chunk == chunk && file.Has("chunk.h")) {
      CAROUSEL_RETURN_IF_ERROR(CheckOutputs(file, cell, "chunk.", label, comparison));
    }
    CAROUSEL_RETURN_IF_ERROR(CheckSaved(file, in, cell, comparison));
    if (cut.segment_steps == chunk) {
      CAROUSEL_RETURN_IF_ERROR(CheckBorders(file, in, cell, comparison));
    }
    CAROUSEL_RETURN_IF_ERROR(CheckGradients(cell, label, comparison));
  }
  if (!file.Has("par.h")) return absl::OkStatus();
  Cell parallel(device, in, {chunk, in.steps, -std::numeric_limits<double>::infinity()});
  parallel.Forward();
  return comparison.Check(Group::kOutput, "par.h", parallel.h());
}

}  // namespace carousel::golden
