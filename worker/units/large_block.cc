// The residual block of xLSTM 7B (section 3, figure 1 and appendix A): an mLSTM between linear
// maps, then a SwiGLU feed-forward.
//
//   xn = RMSNorm(x);  q, k, v, o = xn W^T;  i, f = cap(xn W^T + b)
//   x1 = x + out_proj(sigmoid(o) * HeadNorm(mLSTM(q, k, v, i, f)))
//   y  = x1 + proj_down(silu(gate) * up),  gate, up = RMSNorm(x1) W^T

#include "cluster/status_macros.h"
#include "worker/unit.h"
#include "worker/units/residual.h"

namespace carousel {
namespace {

using kernels::Matrix;
using kernels::Span;

constexpr double kNormEpsilon = 1e-6;
constexpr double kCellEpsilon = 1e-6;

class LargeBlock : public Unit {
 public:
  explicit LargeBlock(const UnitContext& context)
      : context_(context),
        dim_(context.model->dim()),
        heads_(context.model->num_heads()),
        q_(Linear("mlstm_layer.q")),
        k_(Linear("mlstm_layer.k")),
        v_(Linear("mlstm_layer.v")),
        o_(Linear("mlstm_layer.ogate_preact")),
        gates_(context_, Gate("mlstm_layer.igate_preact"), Gate("mlstm_layer.fgate_preact")),
        out_(Linear("mlstm_layer.out_proj")),
        gate_(Linear("ffn.proj_up_gate")),
        up_(Linear("ffn.proj_up")),
        down_(Linear("ffn.proj_down")),
        qk_(q_.out()),
        inner_(v_.out()),
        ffn_(up_.out()) {}

  absl::Status Init() {
    const UnitParameters& p = *context_.parameters;
    const NormPiece::Kind rms = {.groups = 1,
                                 .width = dim_,
                                 .center = false,
                                 .residual_weight = false,
                                 .epsilon = kNormEpsilon};
    const NormPiece::Kind head = {.groups = heads_,
                                  .width = inner_ / heads_,
                                  .center = true,
                                  .residual_weight = false,
                                  .epsilon = kNormEpsilon};
    CAROUSEL_ASSIGN_OR_RETURN(norm_, NormPiece::Create(context_, p.Find("norm_mlstm.weight"), rms));
    CAROUSEL_ASSIGN_OR_RETURN(
        head_norm_, NormPiece::Create(context_, p.Find("mlstm_layer.multihead_norm.weight"), head));
    CAROUSEL_ASSIGN_OR_RETURN(ffn_norm_,
                              NormPiece::Create(context_, p.Find("norm_ffn.weight"), rms));
    CAROUSEL_ASSIGN_OR_RETURN(carry_,
                              MlstmCarry::Create(context_, heads_, qk_ / heads_, inner_ / heads_));

    CAROUSEL_RETURN_IF_ERROR(AllocateRows(context_, {{&xn_, dim_},
                                                     {&q_rows_, qk_},
                                                     {&k_rows_, qk_},
                                                     {&v_rows_, inner_},
                                                     {&o_rows_, inner_},
                                                     {&i_rows_, heads_},
                                                     {&f_rows_, heads_},
                                                     {&h_, inner_},
                                                     {&r_, heads_},
                                                     {&m_, heads_},
                                                     {&hn_, inner_},
                                                     {&gated_, inner_},
                                                     {&x1_, dim_},
                                                     {&x1n_, dim_},
                                                     {&gate_rows_, ffn_},
                                                     {&up_rows_, ffn_},
                                                     {&act_, ffn_}}));
    CAROUSEL_RETURN_IF_ERROR(AllocateGradientRows(context_, {{&dx1n_, dim_},
                                                             {&dx1_, dim_},
                                                             {&dhn_, inner_},
                                                             {&dq_, qk_},
                                                             {&dk_, qk_},
                                                             {&dv_, inner_},
                                                             {&di_, heads_},
                                                             {&df_, heads_},
                                                             {&dxn_, dim_}}));
    context_.workspace->Reserve(0, context_.capacity.rows() * std::max(ffn_, inner_));
    return absl::OkStatus();
  }

  void Forward(const Segment& s, Span x, Span y) override {
    norm_.Forward(s, x, xn_.Rows(s));
    const Matrix xn = xn_.Columns(s);
    q_.Forward(s, xn, q_rows_.Columns(s));
    k_.Forward(s, xn, k_rows_.Columns(s));
    v_.Forward(s, xn, v_rows_.Columns(s));
    o_.Forward(s, xn, o_rows_.Columns(s));
    gates_.Forward(s, xn, i_rows_.Rows(s), f_rows_.Rows(s));
    CapForward(i_rows_.Rows(s));
    CapForward(f_rows_.Rows(s));
    context_.Run(kernels::MlstmForward{CellOperands(s), carry_.OutOf(s)});
    head_norm_.Forward(s, h_.Rows(s), hn_.Rows(s));
    context_.Run(
        kernels::OutputGateForward{.o = o_rows_.Rows(s), .h = hn_.Rows(s), .y = gated_.Rows(s)});
    out_.Forward(s, gated_.Columns(s), x1_.Columns(s), Dense(x, dim_));

    ffn_norm_.Forward(s, x1_.Rows(s), x1n_.Rows(s));
    gate_.Forward(s, x1n_.Columns(s), gate_rows_.Columns(s));
    up_.Forward(s, x1n_.Columns(s), up_rows_.Columns(s));
    context_.Run(kernels::GatedUnitForward{.kind = kernels::GateKind::kSilu,
                                           .gate = gate_rows_.Columns(s),
                                           .up = up_rows_.Columns(s),
                                           .y = act_.Columns(s),
                                           .rows = s.rows(),
                                           .width = ffn_});
    down_.Forward(s, act_.Columns(s), Dense(y, dim_), x1_.Columns(s));
  }

  void BackwardInput(const Segment& s, Span x, Span dy, Span dx) override {
    const Segment g = InSlot0(s);
    const Span dact = context_.workspace->Get(0, s.rows() * ffn_);
    down_.BackwardInput(s, Dense(dy, dim_), Dense(dact, ffn_));
    context_.Run(kernels::GatedUnitBackward{.kind = kernels::GateKind::kSilu,
                                            .gate = gate_rows_.Columns(s),
                                            .up = up_rows_.Columns(s),
                                            .dy = Dense(dact, ffn_),
                                            .dgate = gate_rows_.Columns(s),
                                            .dup = up_rows_.Columns(s),
                                            .rows = s.rows(),
                                            .width = ffn_});
    gate_.BackwardInput(s, gate_rows_.Columns(s), dx1n_.Columns(g));
    up_.BackwardInput(s, up_rows_.Columns(s), dx1n_.Columns(g), /*accumulate=*/true);
    ffn_norm_.BackwardInput(s, x1_.Rows(s), dx1n_.Rows(g), /*residual=*/dy, dx1_.Rows(g));

    const Span scratch = context_.workspace->Get(0, s.rows() * inner_);  // d(gated), then dh
    out_.BackwardInput(s, dx1_.Columns(g), Dense(scratch, inner_));
    context_.Run(kernels::OutputGateBackward{.o = o_rows_.Rows(s),
                                             .h = hn_.Rows(s),
                                             .dy = scratch,
                                             .d_o = o_rows_.Rows(s),
                                             .dh = dhn_.Rows(g)});
    head_norm_.BackwardInput(s, h_.Rows(s), dhn_.Rows(g), /*residual=*/{}, scratch);
    kernels::MlstmBackward cell{CellOperands(s)};
    cell.dh = scratch;
    cell.dout = carry_.GradientOutOf(s);
    cell.dq = dq_.Columns(g), cell.dk = dk_.Columns(g), cell.dv = dv_.Columns(g);
    cell.di = di_.Rows(g), cell.df = df_.Rows(g);
    cell.din = carry_.GradientInto(s);
    context_.Run(cell);
    CapBackward(i_rows_.Rows(s), di_.Rows(g));
    CapBackward(f_rows_.Rows(s), df_.Rows(g));

    const Matrix dxn = dxn_.Columns(g);
    q_.BackwardInput(s, dq_.Columns(g), dxn);
    k_.BackwardInput(s, dk_.Columns(g), dxn, /*accumulate=*/true);
    v_.BackwardInput(s, dv_.Columns(g), dxn, /*accumulate=*/true);
    o_.BackwardInput(s, o_rows_.Columns(s), dxn, /*accumulate=*/true);
    gates_.BackwardInput(s, di_.Rows(g), df_.Rows(g), dxn);
    norm_.BackwardInput(s, x, dxn_.Rows(g), /*residual=*/dx1_.Rows(g), dx);
  }

  void BackwardWeight(const Segment& s, Span x, Span dy) override {
    const Segment g = InSlot0(s);
    down_.BackwardWeight(s, act_.Columns(s), Dense(dy, dim_));
    gate_.BackwardWeight(s, x1n_.Columns(s), gate_rows_.Columns(s));
    up_.BackwardWeight(s, x1n_.Columns(s), up_rows_.Columns(s));
    ffn_norm_.BackwardWeight(s, x1_.Rows(s), dx1n_.Rows(g));
    out_.BackwardWeight(s, gated_.Columns(s), dx1_.Columns(g));
    head_norm_.BackwardWeight(s, h_.Rows(s), dhn_.Rows(g));
    q_.BackwardWeight(s, xn_.Columns(s), dq_.Columns(g));
    k_.BackwardWeight(s, xn_.Columns(s), dk_.Columns(g));
    v_.BackwardWeight(s, xn_.Columns(s), dv_.Columns(g));
    o_.BackwardWeight(s, xn_.Columns(s), o_rows_.Columns(s));
    gates_.BackwardWeight(s, xn_.Columns(s), di_.Rows(g), df_.Rows(g));
    norm_.BackwardWeight(s, x, dxn_.Rows(g));
  }

  std::vector<CarriedState> Carried(int slot, int index) const override {
    return carry_.Carried(slot, index);
  }

 private:
  LinearPiece Linear(const std::string& name) const {
    return LinearPiece(context_, context_.parameters->Find(name + ".weight"));
  }
  GatePiece::Map Gate(const std::string& name) const {
    return {context_.parameters->Find(name + ".weight"), context_.parameters->Find(name + ".bias")};
  }

  kernels::MlstmOperands CellOperands(const Segment& s) const {
    return {.shape = {.steps = s.steps,
                      .batch = s.batch,
                      .heads = heads_,
                      .qk_dim = qk_ / heads_,
                      .v_dim = inner_ / heads_,
                      .chunk = context_.capacity.chunk,
                      .initial_m = 0,
                      .epsilon = kCellEpsilon},
            .q = q_rows_.Columns(s),
            .k = k_rows_.Columns(s),
            .v = v_rows_.Columns(s),
            .i = i_rows_.Rows(s),
            .f = f_rows_.Rows(s),
            .reset = s.resets,
            .in = carry_.Into(s),
            .h = h_.Rows(s),
            .r = r_.Rows(s),
            .m = m_.Rows(s)};
  }
  void CapForward(Span x) const {
    context_.Run(kernels::SoftCapForward{.x = x, .y = x, .cap = context_.model->gate_soft_cap()});
  }
  void CapBackward(Span y, Span dy) const {
    context_.Run(kernels::SoftCapBackward{
        .y = y, .dy = dy, .dx = dy, .cap = context_.model->gate_soft_cap()});
  }

  const UnitContext context_;
  const int64_t dim_, heads_;
  LinearPiece q_, k_, v_, o_;
  GatePiece gates_;
  LinearPiece out_, gate_, up_, down_;
  const int64_t qk_, inner_, ffn_;  // NH * DQK, NH * DHV, width of the feed-forward
  NormPiece norm_, head_norm_, ffn_norm_;
  MlstmCarry carry_;

  // Kept from forward. o, gate and up turn into their gradients in backward.
  SlotBuffer xn_, q_rows_, k_rows_, v_rows_, o_rows_, i_rows_, f_rows_, h_, r_, m_, hn_, gated_,
      x1_, x1n_, gate_rows_, up_rows_, act_;
  // Kept from backward for the weights' gradients.
  SlotBuffer dx1n_, dx1_, dhn_, dq_, dk_, dv_, di_, df_, dxn_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Unit>> NewLargeBlock(const UnitContext& context) {
  auto block = std::make_unique<LargeBlock>(context);
  CAROUSEL_RETURN_IF_ERROR(block->Init());
  return block;
}

}  // namespace carousel
