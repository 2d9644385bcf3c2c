// The mLSTM block of the 2024 family: pre-up-projection (Beck et al. 2024, figure 11), no
// feed-forward.
//
//   [xm | z] = LN(x) proj_up^T;  c = silu(conv4(xm))
//   q, k = blockdiag(c);  v = blockdiag(xm);  i, f = [q | k | v] W^T + b
//   h = HeadNorm(mLSTM(q, k, v, i, f)) + skip * c
//   y = x + proj_down(h * silu(z))

#include <limits>

#include "cluster/status_macros.h"
#include "worker/unit.h"
#include "worker/units/residual.h"

namespace carousel {
namespace {

using kernels::Matrix;
using kernels::Span;

constexpr double kNormEpsilon = 1e-5;
constexpr double kCellEpsilon = 1e-6;

class MlstmBlock : public Unit {
 public:
  explicit MlstmBlock(const UnitContext& context)
      : context_(context),
        dim_(context.model->dim()),
        heads_(context.model->num_heads()),
        skip_(context.parameters->Find("xlstm.learnable_skip")),
        up_(context_, Find("proj_up.weight")),
        down_(context_, Find("proj_down.weight")),
        gates_(context_, {Find("mlstm_cell.igate.weight"), Find("mlstm_cell.igate.bias")},
               {Find("mlstm_cell.fgate.weight"), Find("mlstm_cell.fgate.bias")}),
        q_(context_, Find("q_proj.weight")),
        k_(context_, Find("k_proj.weight")),
        v_(context_, Find("v_proj.weight")),
        inner_(down_.in()) {}

  absl::Status Init() {
    const UnitParameters& p = *context_.parameters;
    CAROUSEL_ASSIGN_OR_RETURN(norm_, NormPiece::Create(context_, p.Find("xlstm_norm.weight"),
                                                       {1, dim_, true, true, kNormEpsilon}));
    CAROUSEL_ASSIGN_OR_RETURN(
        head_norm_, NormPiece::Create(context_, Find("mlstm_cell.outnorm.weight"),
                                      {heads_, inner_ / heads_, true, true, kNormEpsilon}));
    CAROUSEL_ASSIGN_OR_RETURN(
        conv_, ConvPiece::Create(context_, Find("conv1d.conv.weight"), Find("conv1d.conv.bias")));
    CAROUSEL_ASSIGN_OR_RETURN(
        carry_, MlstmCarry::Create(context_, heads_, inner_ / heads_, inner_ / heads_));

    CAROUSEL_RETURN_IF_ERROR(AllocateRows(context_, {{&xn_, dim_},
                                                     {&xz_, 2 * inner_},
                                                     {&c_, inner_},
                                                     {&qkv_, 3 * inner_},
                                                     {&i_rows_, heads_},
                                                     {&f_rows_, heads_},
                                                     {&h_, inner_},
                                                     {&r_, heads_},
                                                     {&m_, heads_},
                                                     {&hn_, inner_},
                                                     {&gated_, inner_}}));
    CAROUSEL_RETURN_IF_ERROR(AllocateGradientRows(context_, {{&dhn_, inner_},
                                                             {&dc_, inner_},
                                                             {&dxz_, 2 * inner_},
                                                             {&dqkv_, 3 * inner_},
                                                             {&di_, heads_},
                                                             {&df_, heads_},
                                                             {&dxn_, dim_}}));
    context_.workspace->Reserve(0, context_.capacity.rows() * inner_);
    return absl::OkStatus();
  }

  void Forward(const Segment& s, Span x, Span y) override {
    norm_.Forward(s, x, xn_.Rows(s));
    up_.Forward(s, xn_.Columns(s), xz_.Columns(s));
    conv_.Forward(s, Xm(s), c_.Rows(s));
    q_.Forward(s, c_.Columns(s), Q(s));
    k_.Forward(s, c_.Columns(s), K(s));
    v_.Forward(s, Xm(s), V(s));
    gates_.Forward(s, qkv_.Columns(s), i_rows_.Rows(s), f_rows_.Rows(s));
    context_.Run(kernels::MlstmForward{CellOperands(s), carry_.OutOf(s)});
    head_norm_.Forward(s, h_.Rows(s), hn_.Rows(s));
    context_.Run(kernels::SkipGateForward{.h = hn_.Columns(s),
                                          .c = c_.Columns(s),
                                          .z = Z(s),
                                          .skip = skip_.weight,
                                          .y = gated_.Columns(s),
                                          .rows = s.rows(),
                                          .width = inner_});
    down_.Forward(s, gated_.Columns(s), Dense(y, dim_), Dense(x, dim_));
  }

  void BackwardInput(const Segment& s, Span x, Span dy, Span dx) override {
    const Segment g = InSlot0(s);
    const Span scratch = context_.workspace->Get(0, s.rows() * inner_);  // d(gated), then dh
    down_.BackwardInput(s, Dense(dy, dim_), Dense(scratch, inner_));
    context_.Run(kernels::SkipGateBackwardInput{.h = hn_.Columns(s),
                                                .c = c_.Columns(s),
                                                .z = Z(s),
                                                .skip = skip_.weight,
                                                .dy = Dense(scratch, inner_),
                                                .dh = dhn_.Columns(g),
                                                .dc = dc_.Columns(g),
                                                .dz = dxz_.Columns(g, inner_),
                                                .rows = s.rows(),
                                                .width = inner_});
    head_norm_.BackwardInput(s, h_.Rows(s), dhn_.Rows(g), /*residual=*/{}, scratch);
    const Matrix dq = dqkv_.Columns(g), dk = dqkv_.Columns(g, inner_),
                 dv = dqkv_.Columns(g, 2 * inner_);
    kernels::MlstmBackward cell{CellOperands(s)};
    cell.dh = scratch;
    cell.dout = carry_.GradientOutOf(s);
    cell.dq = dq, cell.dk = dk, cell.dv = dv;
    cell.di = di_.Rows(g), cell.df = df_.Rows(g);
    cell.din = carry_.GradientInto(s);
    context_.Run(cell);
    gates_.BackwardInput(s, di_.Rows(g), df_.Rows(g), dqkv_.Columns(g));
    q_.BackwardInput(s, dq, dc_.Columns(g), /*accumulate=*/true);
    k_.BackwardInput(s, dk, dc_.Columns(g), /*accumulate=*/true);
    const Matrix dxm = dxz_.Columns(g);
    v_.BackwardInput(s, dv, dxm);
    conv_.BackwardInput(s, Xm(s), dc_.Rows(g), dxm, /*accumulate=*/true);
    up_.BackwardInput(s, dxz_.Columns(g), dxn_.Columns(g));
    norm_.BackwardInput(s, x, dxn_.Rows(g), /*residual=*/dy, dx);
  }

  void BackwardWeight(const Segment& s, Span x, Span dy) override {
    const Segment g = InSlot0(s);
    down_.BackwardWeight(s, gated_.Columns(s), Dense(dy, dim_));
    context_.Run(kernels::SkipGateBackwardWeight{.dh = dhn_.Columns(g),
                                                 .c = c_.Columns(s),
                                                 .dskip = skip_.gradient,
                                                 .rows = s.rows(),
                                                 .width = inner_});
    head_norm_.BackwardWeight(s, h_.Rows(s), dhn_.Rows(g));
    gates_.BackwardWeight(s, qkv_.Columns(s), di_.Rows(g), df_.Rows(g));
    q_.BackwardWeight(s, c_.Columns(s), dqkv_.Columns(g));
    k_.BackwardWeight(s, c_.Columns(s), dqkv_.Columns(g, inner_));
    v_.BackwardWeight(s, Xm(s), dqkv_.Columns(g, 2 * inner_));
    conv_.BackwardWeight(s, Xm(s), dc_.Rows(g));
    up_.BackwardWeight(s, xn_.Columns(s), dxz_.Columns(g));
    norm_.BackwardWeight(s, x, dxn_.Rows(g));
  }

  std::vector<CarriedState> Carried(int slot, int index) const override {
    std::vector<CarriedState> states = carry_.Carried(slot, index);
    states.push_back(conv_.Carried(slot, index));
    return states;
  }

 private:
  const Parameter& Find(const std::string& name) const {
    return context_.parameters->Find("xlstm." + name);
  }

  Matrix Xm(const Segment& s) const { return xz_.Columns(s); }
  Matrix Z(const Segment& s) const { return xz_.Columns(s, inner_); }
  Matrix Q(const Segment& s) const { return qkv_.Columns(s); }
  Matrix K(const Segment& s) const { return qkv_.Columns(s, inner_); }
  Matrix V(const Segment& s) const { return qkv_.Columns(s, 2 * inner_); }

  // The parallel form of the papers' training has no memory before the first token: m starts at
  // -inf.
  kernels::MlstmOperands CellOperands(const Segment& s) const {
    return {.shape = {.steps = s.steps,
                      .batch = s.batch,
                      .heads = heads_,
                      .qk_dim = inner_ / heads_,
                      .v_dim = inner_ / heads_,
                      .chunk = context_.capacity.chunk,
                      .initial_m = -std::numeric_limits<double>::infinity(),
                      .epsilon = kCellEpsilon},
            .q = Q(s),
            .k = K(s),
            .v = V(s),
            .i = i_rows_.Rows(s),
            .f = f_rows_.Rows(s),
            .reset = s.resets,
            .in = carry_.Into(s),
            .h = h_.Rows(s),
            .r = r_.Rows(s),
            .m = m_.Rows(s)};
  }

  const UnitContext context_;
  const int64_t dim_, heads_;
  const Parameter& skip_;
  LinearPiece up_, down_;
  GatePiece gates_;
  BlockLinearPiece q_, k_, v_;
  const int64_t inner_;  // NH * DHV
  NormPiece norm_, head_norm_;
  ConvPiece conv_;
  MlstmCarry carry_;

  // Kept from forward: xz = [xm | z], qkv = [q | k | v].
  SlotBuffer xn_, xz_, c_, qkv_, i_rows_, f_rows_, h_, r_, m_, hn_, gated_;
  // Kept from backward for the weights' gradients. dc turns into dz of the convolution.
  SlotBuffer dhn_, dc_, dxz_, dqkv_, di_, df_, dxn_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Unit>> NewMlstmBlock(const UnitContext& context) {
  auto block = std::make_unique<MlstmBlock>(context);
  CAROUSEL_RETURN_IF_ERROR(block->Init());
  return block;
}

}  // namespace carousel
