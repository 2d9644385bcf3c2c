#include "worker/units/residual.h"

namespace carousel {

using kernels::Matrix;
using kernels::Span;

absl::Status AllocateRows(const UnitContext& context, std::initializer_list<RowsWanted> wanted) {
  for (const RowsWanted& rows : wanted) {
    CAROUSEL_ASSIGN_OR_RETURN(*rows.buffer, context.Rows(rows.width));
  }
  return absl::OkStatus();
}

absl::Status AllocateGradientRows(const UnitContext& context,
                                  std::initializer_list<RowsWanted> wanted) {
  UnitContext one = context;
  one.capacity.slots = 1;
  return AllocateRows(one, wanted);
}

absl::StatusOr<NormPiece> NormPiece::Create(const UnitContext& context, const Parameter& weight,
                                            Kind kind) {
  NormPiece piece;
  piece.context_ = &context;
  piece.weight_ = &weight;
  piece.kind_ = kind;
  CAROUSEL_ASSIGN_OR_RETURN(piece.stats_, context.Rows(kind.groups * 2));
  return piece;
}

kernels::NormShape NormPiece::Shape(const Segment& segment) const {
  return {.rows = segment.rows(),
          .groups = kind_.groups,
          .width = kind_.width,
          .center = kind_.center,
          .residual_weight = kind_.residual_weight,
          .epsilon = kind_.epsilon};
}

void NormPiece::Forward(const Segment& segment, Span x, Span y) const {
  context_->Run(kernels::NormForward{.shape = Shape(segment),
                                     .x = x,
                                     .weight = weight_->weight,
                                     .y = y,
                                     .stats = stats_.Rows(segment)});
}

void NormPiece::BackwardInput(const Segment& segment, Span x, Span dy, Span residual,
                              Span dx) const {
  context_->Run(kernels::NormBackwardInput{.shape = Shape(segment),
                                           .x = x,
                                           .weight = weight_->weight,
                                           .stats = stats_.Rows(segment),
                                           .dy = dy,
                                           .residual = residual,
                                           .dx = dx});
}

void NormPiece::BackwardWeight(const Segment& run, Span x, Span dy) const {
  context_->Run(kernels::NormBackwardWeight{.shape = Shape(run),
                                            .x = x,
                                            .stats = stats_.Rows(run),
                                            .dy = dy,
                                            .dweight = weight_->gradient});
}

LinearPiece::LinearPiece(const UnitContext& context, const Parameter& weight, const Parameter* bias)
    : context_(&context),
      weight_(&weight),
      bias_(bias),
      in_(weight.layout->shape[1]),
      out_(weight.layout->shape[0]) {}

void LinearPiece::Forward(const Segment& segment, Matrix x, Matrix y, Matrix residual) const {
  context_->Run(kernels::LinearForward{.x = x,
                                       .weight = weight_->weight,
                                       .bias = bias_ == nullptr ? Span() : bias_->weight,
                                       .residual = residual,
                                       .y = y,
                                       .rows = segment.rows(),
                                       .in = in_,
                                       .out = out_});
}

void LinearPiece::BackwardInput(const Segment& segment, Matrix dy, Matrix dx,
                                bool accumulate) const {
  context_->Run(kernels::LinearBackwardInput{.dy = dy,
                                             .weight = weight_->weight,
                                             .dx = dx,
                                             .rows = segment.rows(),
                                             .in = in_,
                                             .out = out_,
                                             .accumulate = accumulate});
}

void LinearPiece::BackwardWeight(const Segment& run, Matrix x, Matrix dy) const {
  context_->Run(kernels::LinearBackwardWeight{.x = x,
                                              .dy = dy,
                                              .dweight = weight_->gradient,
                                              .dbias = bias_ == nullptr ? Span() : bias_->gradient,
                                              .rows = run.rows(),
                                              .in = in_,
                                              .out = out_});
}

kernels::GateLinearShape GatePiece::Shape(const Segment& segment) const {
  const std::vector<int64_t>& shape = i_.weight.layout->shape;
  return {.rows = segment.rows(), .in = shape[1], .heads = shape[0]};
}

void GatePiece::Forward(const Segment& segment, Matrix x, Span i, Span f) const {
  context_->Run(kernels::GateLinearForward{.shape = Shape(segment),
                                           .x = x,
                                           .wi = i_.weight.weight,
                                           .wf = f_.weight.weight,
                                           .bi = i_.bias.weight,
                                           .bf = f_.bias.weight,
                                           .i = i,
                                           .f = f});
}

void GatePiece::BackwardInput(const Segment& segment, Span di, Span df, Matrix dx) const {
  context_->Run(kernels::GateLinearBackwardInput{.shape = Shape(segment),
                                                 .di = di,
                                                 .df = df,
                                                 .wi = i_.weight.weight,
                                                 .wf = f_.weight.weight,
                                                 .dx = dx});
}

void GatePiece::BackwardWeight(const Segment& run, Matrix x, Span di, Span df) const {
  context_->Run(kernels::GateLinearBackwardWeight{.shape = Shape(run),
                                                  .x = x,
                                                  .di = di,
                                                  .df = df,
                                                  .dwi = i_.weight.gradient,
                                                  .dwf = f_.weight.gradient,
                                                  .dbi = i_.bias.gradient,
                                                  .dbf = f_.bias.gradient});
}

BlockLinearPiece::BlockLinearPiece(const UnitContext& context, const Parameter& weight)
    : context_(&context),
      weight_(&weight),
      blocks_(weight.layout->shape[0]),
      in_(weight.layout->shape[2]),
      out_(weight.layout->shape[1]) {}

void BlockLinearPiece::Forward(const Segment& segment, Matrix x, Matrix y) const {
  context_->Run(kernels::BlockLinearForward{.x = x,
                                            .weight = weight_->weight,
                                            .y = y,
                                            .rows = segment.rows(),
                                            .blocks = blocks_,
                                            .in = in_,
                                            .out = out_});
}

void BlockLinearPiece::BackwardInput(const Segment& segment, Matrix dy, Matrix dx,
                                     bool accumulate) const {
  context_->Run(kernels::BlockLinearBackwardInput{.dy = dy,
                                                  .weight = weight_->weight,
                                                  .dx = dx,
                                                  .rows = segment.rows(),
                                                  .blocks = blocks_,
                                                  .in = in_,
                                                  .out = out_,
                                                  .accumulate = accumulate});
}

void BlockLinearPiece::BackwardWeight(const Segment& run, Matrix x, Matrix dy) const {
  context_->Run(kernels::BlockLinearBackwardWeight{.x = x,
                                                   .dy = dy,
                                                   .dweight = weight_->gradient,
                                                   .rows = run.rows(),
                                                   .blocks = blocks_,
                                                   .in = in_,
                                                   .out = out_});
}

absl::StatusOr<ConvPiece> ConvPiece::Create(const UnitContext& context, const Parameter& weight,
                                            const Parameter& bias) {
  ConvPiece piece;
  piece.context_ = &context;
  piece.weight_ = &weight;
  piece.bias_ = &bias;
  piece.width_ = weight.layout->shape[0];
  const StageCapacity& capacity = context.capacity;
  const int64_t rows = kernels::kConvCarry * capacity.batch * piece.width_;
  CAROUSEL_ASSIGN_OR_RETURN(
      piece.carry_, CarryBuffer::Allocate(*context.backend, capacity.slots, capacity.borders, rows,
                                          capacity.dtype));
  CAROUSEL_ASSIGN_OR_RETURN(piece.dcarry_,
                            CarryBuffer::Allocate(*context.backend, 1, 2, rows, capacity.dtype));
  return piece;
}

kernels::ConvShape ConvPiece::Shape(const Segment& segment) const {
  return {.steps = segment.steps, .batch = segment.batch, .width = width_};
}

void ConvPiece::Forward(const Segment& segment, Matrix x, Span y) const {
  context_->Run(kernels::ConvForward{.shape = Shape(segment),
                                     .x = x,
                                     .weight = weight_->weight,
                                     .bias = bias_->weight,
                                     .reset = segment.resets,
                                     .carry_in = carry_.Into(segment),
                                     .y = y,
                                     .carry_out = carry_.OutOf(segment)});
}

void ConvPiece::BackwardInput(const Segment& segment, Matrix x, Span dy, Matrix dx,
                              bool accumulate) const {
  const Segment gradient = InSlot0(segment);  // one micro-batch at a time goes back
  context_->Run(kernels::ConvBackwardInput{.shape = Shape(segment),
                                           .x = x,
                                           .weight = weight_->weight,
                                           .bias = bias_->weight,
                                           .reset = segment.resets,
                                           .carry_in = carry_.Into(segment),
                                           .dy = dy,
                                           .dcarry_in = dcarry_.OutOf(gradient),
                                           .dz = dy,
                                           .dx = dx,
                                           .accumulate = accumulate,
                                           .dcarry_out = dcarry_.Into(gradient)});
}

void ConvPiece::BackwardWeight(const Segment& run, Matrix x, Span dz) const {
  context_->Run(kernels::ConvBackwardWeight{.shape = Shape(run),
                                            .x = x,
                                            .reset = run.resets,
                                            .carry_in = carry_.Into(run),
                                            .dz = dz,
                                            .dweight = weight_->gradient,
                                            .dbias = bias_->gradient});
}

absl::StatusOr<MlstmCarry> MlstmCarry::Create(const UnitContext& context, int64_t heads,
                                              int64_t qk_dim, int64_t v_dim) {
  const StageCapacity& capacity = context.capacity;
  const int64_t states = capacity.batch * heads;
  auto allocate = [&](int slots, int borders, int64_t size) {
    return CarryBuffer::Allocate(*context.backend, slots, borders, states * size, capacity.dtype);
  };
  MlstmCarry carry;
  CAROUSEL_ASSIGN_OR_RETURN(carry.c_, allocate(capacity.slots, capacity.borders, qk_dim * v_dim));
  CAROUSEL_ASSIGN_OR_RETURN(carry.n_, allocate(capacity.slots, capacity.borders, qk_dim));
  CAROUSEL_ASSIGN_OR_RETURN(carry.m_, allocate(capacity.slots, capacity.borders, 1));
  CAROUSEL_ASSIGN_OR_RETURN(carry.dc_, allocate(1, 2, qk_dim * v_dim));
  CAROUSEL_ASSIGN_OR_RETURN(carry.dn_, allocate(1, 2, qk_dim));
  return carry;
}

}  // namespace carousel
