// The sLSTM block of the 2024 family: post-up-projection with a gated feed-forward (Beck et al.
// 2024, figure 10).
//
//   xn = LN(x);  xc = silu(conv4(xn))
//   i, f = blockdiag(xc);  z, o = blockdiag(xn)
//   x1 = x + HeadNorm(sLSTM(i, f, z, o))
//   [g | u] = LN(x1) proj_up^T
//   y = x1 + proj_down(gelu(g) * u)
//
// A trap that the published weights set: the parameter NAMED fgate drives the input gate, and igate
// the forget gate.

#include "cluster/status_macros.h"
#include "worker/unit.h"
#include "worker/units/residual.h"

namespace carousel {
namespace {

using kernels::Matrix;
using kernels::Span;
using enum kernels::SlstmGate;

constexpr double kNormEpsilon = 1e-5;

// (h, c, n, m) of the cell at the segment borders, and (dh, dc, dn) on the way back.
class SlstmCarry {
 public:
  static absl::StatusOr<SlstmCarry> Create(const UnitContext& context, int64_t width) {
    const StageCapacity& capacity = context.capacity;
    const int64_t size = capacity.batch * width;
    SlstmCarry carry;
    for (CarryBuffer& buffer : carry.state_) {
      CAROUSEL_ASSIGN_OR_RETURN(buffer, CarryBuffer::Allocate(*context.backend, capacity, size));
    }
    for (CarryBuffer& buffer : carry.gradient_) {
      CAROUSEL_ASSIGN_OR_RETURN(buffer,
                                CarryBuffer::AllocateGradient(*context.backend, capacity, size));
    }
    return carry;
  }

  kernels::SlstmState Into(const Segment& s) const {
    return {state_[0].Into(s), state_[1].Into(s), state_[2].Into(s), state_[3].Into(s)};
  }
  kernels::SlstmState OutOf(const Segment& s) const {
    return {state_[0].OutOf(s), state_[1].OutOf(s), state_[2].OutOf(s), state_[3].OutOf(s)};
  }
  kernels::SlstmState GradientInto(const Segment& s) const {
    const Segment g = InSlot0(s);
    return {gradient_[0].Into(g), gradient_[1].Into(g), gradient_[2].Into(g), {}};
  }
  kernels::SlstmState GradientOutOf(const Segment& s) const {
    const Segment g = InSlot0(s);
    return {gradient_[0].OutOf(g), gradient_[1].OutOf(g), gradient_[2].OutOf(g), {}};
  }

  std::vector<CarriedState> Carried(int slot, int index) const {
    static constexpr const char* kNames[] = {"h", "c", "n", "m"};
    std::vector<CarriedState> states;
    for (int part = 0; part < 4; ++part) {
      states.push_back({kNames[part], state_[part].Border(slot, index),
                        part < 3 ? gradient_[part].Border(0, index) : kernels::Span()});
    }
    return states;
  }

 private:
  CarryBuffer state_[4], gradient_[3];
};

class SlstmBlock : public Unit {
 public:
  explicit SlstmBlock(const UnitContext& context)
      : context_(context),
        dim_(context.model->dim()),
        heads_(context.model->slstm_num_heads()),
        r_(Find("xlstm.slstm_cell._recurrent_kernel_")),
        b_(Find("xlstm.slstm_cell._bias_")),
        gate_{BlockLinearPiece(context_, Find("xlstm.fgate.weight")),
              BlockLinearPiece(context_, Find("xlstm.igate.weight")),
              BlockLinearPiece(context_, Find("xlstm.zgate.weight")),
              BlockLinearPiece(context_, Find("xlstm.ogate.weight"))},
        up_(context_, Find("ffn.proj_up.weight")),
        down_(context_, Find("ffn.proj_down.weight")),
        ffn_(down_.in()) {}

  absl::Status Init() {
    const NormPiece::Kind row = {1, dim_, true, true, kNormEpsilon};
    CAROUSEL_ASSIGN_OR_RETURN(norm_, NormPiece::Create(context_, Find("xlstm_norm.weight"), row));
    CAROUSEL_ASSIGN_OR_RETURN(head_norm_,
                              NormPiece::Create(context_, Find("xlstm.group_norm.weight"),
                                                {heads_, dim_ / heads_, true, true, kNormEpsilon}));
    CAROUSEL_ASSIGN_OR_RETURN(ffn_norm_, NormPiece::Create(context_, Find("ffn_norm.weight"), row));
    CAROUSEL_ASSIGN_OR_RETURN(conv_, ConvPiece::Create(context_, Find("xlstm.conv1d.conv.weight"),
                                                       Find("xlstm.conv1d.conv.bias")));
    CAROUSEL_ASSIGN_OR_RETURN(carry_, SlstmCarry::Create(context_, dim_));

    CAROUSEL_RETURN_IF_ERROR(AllocateRows(context_, {{&xn_, dim_},
                                                     {&xc_, dim_},
                                                     {&gates_, kGates * dim_},
                                                     {&h_, dim_},
                                                     {&keep_, dim_},
                                                     {&c_, dim_},
                                                     {&n_, dim_},
                                                     {&h_before_, dim_},
                                                     {&x1_, dim_},
                                                     {&x1n_, dim_},
                                                     {&gu_, 2 * ffn_},
                                                     {&act_, ffn_}}));
    CAROUSEL_RETURN_IF_ERROR(AllocateGradientRows(
        context_, {{&dx1n_, dim_}, {&dx1_, dim_}, {&dxc_, dim_}, {&dxn_, dim_}}));
    context_.workspace->Reserve(0, context_.capacity.rows() * std::max(ffn_, dim_));
    return absl::OkStatus();
  }

  void Forward(const Segment& s, Span x, Span y) override {
    norm_.Forward(s, x, xn_.Rows(s));
    conv_.Forward(s, xn_.Columns(s), xc_.Rows(s));
    for (int gate = 0; gate < kGates; ++gate)
      gate_[gate].Forward(s, GateInput(gate, s), gates_.Columns(s, gate * dim_));
    context_.Run(kernels::SlstmForward{.shape = CellShape(s),
                                       .x = gates_.Rows(s),
                                       .r = r_.weight,
                                       .b = b_.weight,
                                       .reset = s.resets,
                                       .in = carry_.Into(s),
                                       .h = h_.Rows(s),
                                       .gates = gates_.Rows(s),
                                       .keep = keep_.Rows(s),
                                       .c = c_.Rows(s),
                                       .n = n_.Rows(s),
                                       .h_before = h_before_.Rows(s),
                                       .out = carry_.OutOf(s)});
    head_norm_.Forward(s, h_.Rows(s), x1_.Rows(s));
    context_.Run(kernels::Add{.a = x, .b = x1_.Rows(s), .y = x1_.Rows(s)});
    ffn_norm_.Forward(s, x1_.Rows(s), x1n_.Rows(s));
    up_.Forward(s, x1n_.Columns(s), gu_.Columns(s));
    context_.Run(kernels::GatedUnitForward{.kind = kernels::GateKind::kGelu,
                                           .gate = gu_.Columns(s),
                                           .up = gu_.Columns(s, ffn_),
                                           .y = act_.Columns(s),
                                           .rows = s.rows(),
                                           .width = ffn_});
    down_.Forward(s, act_.Columns(s), Dense(y, dim_), x1_.Columns(s));
  }

  void BackwardInput(const Segment& s, Span x, Span dy, Span dx) override {
    const Segment g = InSlot0(s);
    const Span dact = context_.workspace->Get(0, s.rows() * ffn_);
    down_.BackwardInput(s, Dense(dy, dim_), Dense(dact, ffn_));
    context_.Run(kernels::GatedUnitBackward{.kind = kernels::GateKind::kGelu,
                                            .gate = gu_.Columns(s),
                                            .up = gu_.Columns(s, ffn_),
                                            .dy = Dense(dact, ffn_),
                                            .dgate = gu_.Columns(s),
                                            .dup = gu_.Columns(s, ffn_),
                                            .rows = s.rows(),
                                            .width = ffn_});
    up_.BackwardInput(s, gu_.Columns(s), dx1n_.Columns(g));
    ffn_norm_.BackwardInput(s, x1_.Rows(s), dx1n_.Rows(g), /*residual=*/dy, dx1_.Rows(g));

    const Span dh = context_.workspace->Get(0, s.rows() * dim_);
    head_norm_.BackwardInput(s, h_.Rows(s), dx1_.Rows(g), /*residual=*/{}, dh);
    context_.Run(kernels::SlstmBackwardInput{.shape = CellShape(s),
                                             .r = r_.weight,
                                             .reset = s.resets,
                                             .in = carry_.Into(s),
                                             .h = h_.Rows(s),
                                             .gates = gates_.Rows(s),
                                             .keep = keep_.Rows(s),
                                             .c = c_.Rows(s),
                                             .n = n_.Rows(s),
                                             .dy = dh,
                                             .dout = carry_.GradientOutOf(s),
                                             .draw = gates_.Rows(s),
                                             .din = carry_.GradientInto(s)});
    const auto backward = [&](int gate, const Matrix& dx, bool accumulate) {
      gate_[gate].BackwardInput(s, gates_.Columns(s, gate * dim_), dx, accumulate);
    };
    backward(kGateI, dxc_.Columns(g), /*accumulate=*/false);
    backward(kGateF, dxc_.Columns(g), /*accumulate=*/true);
    backward(kGateZ, dxn_.Columns(g), /*accumulate=*/false);
    backward(kGateO, dxn_.Columns(g), /*accumulate=*/true);
    conv_.BackwardInput(s, xn_.Columns(s), dxc_.Rows(g), dxn_.Columns(g), /*accumulate=*/true);
    norm_.BackwardInput(s, x, dxn_.Rows(g), /*residual=*/dx1_.Rows(g), dx);
  }

  void BackwardWeight(const Segment& s, Span x, Span dy) override {
    const Segment g = InSlot0(s);
    down_.BackwardWeight(s, act_.Columns(s), Dense(dy, dim_));
    up_.BackwardWeight(s, x1n_.Columns(s), gu_.Columns(s));
    ffn_norm_.BackwardWeight(s, x1_.Rows(s), dx1n_.Rows(g));
    head_norm_.BackwardWeight(s, h_.Rows(s), dx1_.Rows(g));
    context_.Run(kernels::SlstmBackwardWeight{.shape = CellShape(s),
                                              .h_before = h_before_.Rows(s),
                                              .draw = gates_.Rows(s),
                                              .dr = r_.gradient,
                                              .db = b_.gradient});
    for (int gate = 0; gate < kGates; ++gate)
      gate_[gate].BackwardWeight(s, GateInput(gate, s), gates_.Columns(s, gate * dim_));
    conv_.BackwardWeight(s, xn_.Columns(s), dxc_.Rows(g));
    norm_.BackwardWeight(s, x, dxn_.Rows(g));
  }

  std::vector<CarriedState> Carried(int slot, int index) const override {
    std::vector<CarriedState> states = carry_.Carried(slot, index);
    states.push_back(conv_.Carried(slot, index));
    return states;
  }

 private:
  const Parameter& Find(const std::string& name) const { return context_.parameters->Find(name); }

  // i and f see the convolved rows, z and o the plain ones.
  Matrix GateInput(int gate, const Segment& s) const {
    return gate == kGateI || gate == kGateF ? xc_.Columns(s) : xn_.Columns(s);
  }

  kernels::SlstmShape CellShape(const Segment& s) const {
    return {.steps = s.steps, .batch = s.batch, .heads = heads_, .head_dim = dim_ / heads_};
  }

  const UnitContext context_;
  const int64_t dim_, heads_;
  const Parameter &r_, &b_;
  BlockLinearPiece gate_[kGates];
  LinearPiece up_, down_;
  const int64_t ffn_;
  NormPiece norm_, head_norm_, ffn_norm_;
  ConvPiece conv_;
  SlstmCarry carry_;

  // Kept from forward. gates turn into their gradients in backward, [g | u] too.
  SlotBuffer xn_, xc_, gates_, h_, keep_, c_, n_, h_before_, x1_, x1n_, gu_, act_;
  // Kept from backward for the weights' gradients. dxc turns into dz of the convolution.
  SlotBuffer dx1n_, dx1_, dxc_, dxn_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Unit>> NewSlstmBlock(const UnitContext& context) {
  auto block = std::make_unique<SlstmBlock>(context);
  CAROUSEL_RETURN_IF_ERROR(block->Init());
  return block;
}

}  // namespace carousel
