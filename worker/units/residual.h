// Pieces that the residual blocks share: a pre-norm with its saved statistics, and a linear map
// with its parameter.
#pragma once

#include <initializer_list>

#include "absl/status/statusor.h"
#include "cluster/status_macros.h"
#include "worker/unit.h"

namespace carousel {

// Buffers of a unit and their widths.
struct RowsWanted {
  SlotBuffer* buffer;
  int64_t width;
};

// What forward keeps for backward: for every slot.
absl::Status AllocateRows(const UnitContext& context, std::initializer_list<RowsWanted> wanted);

// What BackwardInput keeps for BackwardWeight: of one micro-batch at a time.
absl::Status AllocateGradientRows(const UnitContext& context,
                                  std::initializer_list<RowsWanted> wanted);

// A norm of rows of `groups` groups, with the statistics that its backward needs.
class NormPiece {
 public:
  struct Kind {
    int64_t groups, width;
    bool center, residual_weight;
    double epsilon;
  };
  NormPiece() = default;
  static absl::StatusOr<NormPiece> Create(const UnitContext& context, const Parameter& weight,
                                          Kind kind);

  void Forward(const Segment& segment, kernels::Span x, kernels::Span y) const;
  // dx = residual + the norm's gradient; residual may be empty.
  void BackwardInput(const Segment& segment, kernels::Span x, kernels::Span dy,
                     kernels::Span residual, kernels::Span dx) const;
  void BackwardWeight(const Segment& run, kernels::Span x, kernels::Span dy) const;

 private:
  kernels::NormShape Shape(const Segment& segment) const;

  const UnitContext* context_ = nullptr;
  const Parameter* weight_ = nullptr;
  Kind kind_{};
  SlotBuffer stats_;
};

// y = x W^T + b over the rows of a segment.
class LinearPiece {
 public:
  LinearPiece() = default;
  // `bias` may be nullptr.
  LinearPiece(const UnitContext& context, const Parameter& weight, const Parameter* bias = nullptr);

  void Forward(const Segment& segment, kernels::Matrix x, kernels::Matrix y,
               kernels::Matrix residual = {}) const;
  void BackwardInput(const Segment& segment, kernels::Matrix dy, kernels::Matrix dx,
                     bool accumulate = false) const;
  void BackwardWeight(const Segment& run, kernels::Matrix x, kernels::Matrix dy) const;

  int64_t in() const { return in_; }
  int64_t out() const { return out_; }

 private:
  const UnitContext* context_ = nullptr;
  const Parameter* weight_ = nullptr;
  const Parameter* bias_ = nullptr;
  int64_t in_ = 0, out_ = 0;
};

// The preactivations of an mLSTM's input and forget gates: two linear maps with one output a head.
class GatePiece {
 public:
  struct Map {
    const Parameter& weight;  // [heads, in]
    const Parameter& bias;    // [heads]
  };
  GatePiece(const UnitContext& context, Map i, Map f) : context_(&context), i_(i), f_(f) {}

  // i, f: [rows, heads]
  void Forward(const Segment& segment, kernels::Matrix x, kernels::Span i, kernels::Span f) const;
  // dx goes on from what is there.
  void BackwardInput(const Segment& segment, kernels::Span di, kernels::Span df,
                     kernels::Matrix dx) const;
  void BackwardWeight(const Segment& run, kernels::Matrix x, kernels::Span di,
                      kernels::Span df) const;

 private:
  kernels::GateLinearShape Shape(const Segment& segment) const;

  const UnitContext* context_;
  Map i_, f_;
};

// A linear map with a block-diagonal matrix, weight [blocks, out, in].
class BlockLinearPiece {
 public:
  BlockLinearPiece() = default;
  BlockLinearPiece(const UnitContext& context, const Parameter& weight);

  void Forward(const Segment& segment, kernels::Matrix x, kernels::Matrix y) const;
  void BackwardInput(const Segment& segment, kernels::Matrix dy, kernels::Matrix dx,
                     bool accumulate = false) const;
  void BackwardWeight(const Segment& run, kernels::Matrix x, kernels::Matrix dy) const;

 private:
  const UnitContext* context_ = nullptr;
  const Parameter* weight_ = nullptr;
  int64_t blocks_ = 0, in_ = 0, out_ = 0;
};

// Causal convolution and SiLU with the rows that cross segment borders.
class ConvPiece {
 public:
  ConvPiece() = default;
  static absl::StatusOr<ConvPiece> Create(const UnitContext& context, const Parameter& weight,
                                          const Parameter& bias);

  void Forward(const Segment& segment, kernels::Matrix x, kernels::Span y) const;
  // dy becomes dz in place; dx (+)= the gradient of x.
  void BackwardInput(const Segment& segment, kernels::Matrix x, kernels::Span dy,
                     kernels::Matrix dx, bool accumulate) const;
  void BackwardWeight(const Segment& run, kernels::Matrix x, kernels::Span dz) const;

  CarriedState Carried(int slot, int index) const {
    return {"conv", carry_.Border(slot, index), dcarry_.Border(0, index)};
  }

 private:
  kernels::ConvShape Shape(const Segment& segment) const;

  const UnitContext* context_ = nullptr;
  const Parameter* weight_ = nullptr;
  const Parameter* bias_ = nullptr;
  int64_t width_ = 0;
  CarryBuffer carry_, dcarry_;
};

// (C, n, m) of an mLSTM at the segment borders, and (dC, dn) on the way back.
class MlstmCarry {
 public:
  MlstmCarry() = default;
  static absl::StatusOr<MlstmCarry> Create(const UnitContext& context, int64_t heads,
                                           int64_t qk_dim, int64_t v_dim);

  kernels::MlstmState Into(const Segment& segment) const {
    return {c_.Into(segment), n_.Into(segment), m_.Into(segment)};
  }
  kernels::MlstmState OutOf(const Segment& segment) const {
    return {c_.OutOf(segment), n_.OutOf(segment), m_.OutOf(segment)};
  }
  // Backward goes through one micro-batch at a time: its gradients need one slot.
  kernels::MlstmState GradientInto(const Segment& segment) const {
    return {dc_.Into(InSlot0(segment)), dn_.Into(InSlot0(segment)), {}};
  }
  kernels::MlstmState GradientOutOf(const Segment& segment) const {
    return {dc_.OutOf(InSlot0(segment)), dn_.OutOf(InSlot0(segment)), {}};
  }

  std::vector<CarriedState> Carried(int slot, int index) const {
    return {{"C", c_.Border(slot, index), dc_.Border(0, index)},
            {"n", n_.Border(slot, index), dn_.Border(0, index)},
            {"m", m_.Border(slot, index), {}}};
  }

 private:
  CarryBuffer c_, n_, m_, dc_, dn_;
};

// A matrix over rows that lie next to each other.
inline kernels::Matrix Dense(kernels::Span rows, int64_t width) { return {rows, width}; }

}  // namespace carousel
