// One residual block, on the worker's stage: forward, gradients, states in and out, whole and one
// segment a chunk, and the 2024 family's token by token.

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/status_macros.h"
#include "kernels/norm.h"
#include "tests/golden/cases.h"
#include "tests/golden/golden_stage.h"
#include "tests/golden/layout.h"
#include "tests/golden/state.h"

namespace carousel::golden {
namespace {

struct Block {
  ModelSpec model;
  int unit = 0;
  int64_t batch = 0, steps = 0, chunk = 0;
  bool has_state = false;
  bool slstm = false;
  Values x, w;  // time-major

  // Index of the first segment: > 0 if a state is carried in.
  int first_index() const { return has_state ? 1 : 0; }
};

absl::StatusOr<Block> ReadBlock(const GoldenFile& file) {
  Block block;
  CAROUSEL_ASSIGN_OR_RETURN(block.model, ReadModel(file, "param."));
  CAROUSEL_ASSIGN_OR_RETURN(block.chunk, ChunkOf(file));
  const int64_t number = file.Int("block", -1);
  if (number < 0 || number >= block.model.num_blocks()) {
    return absl::InvalidArgumentError(absl::StrCat(file.path(), ": config.block is ", number,
                                                   ", not in [0, ", block.model.num_blocks(), ")"));
  }
  block.unit = static_cast<int>(number) + 1;
  CAROUSEL_ASSIGN_OR_RETURN(const Shape shape, file.ShapeOf("x"));
  if (shape.size() != 3 || shape[2] != block.model.dim()) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.path(), ": x is ", Text(shape), " instead of [B, S, dim]"));
  }
  block.batch = shape[0], block.steps = shape[1];
  CAROUSEL_ASSIGN_OR_RETURN(const Values x, file.Get("x", shape));
  CAROUSEL_ASSIGN_OR_RETURN(const Values w, file.Get("w", shape));
  block.x = TimeMajor(x, block.batch, block.steps);
  block.w = TimeMajor(w, block.batch, block.steps);
  block.has_state = file.Has("C0") || file.Has("slstm_state0");
  const auto& at = block.model.slstm_at();
  block.slstm = std::find(at.begin(), at.end(), number) != at.end();
  return block;
}

absl::StatusOr<std::unique_ptr<GoldenStage>> NewStage(const GoldenFile& file, Device& device,
                                                      const Block& block, int borders) {
  CAROUSEL_ASSIGN_OR_RETURN(std::unique_ptr<GoldenStage> golden,
                            GoldenStage::Create(device, block.model,
                                                {.first_unit = block.unit,
                                                 .end_unit = block.unit + 1,
                                                 .steps = block.steps,
                                                 .batch = block.batch,
                                                 .chunk = block.chunk,
                                                 .borders = borders}));
  CAROUSEL_RETURN_IF_ERROR(golden->LoadWeights(file, "param."));
  return golden;
}

// The state before the first token, as the file gives it.
absl::StatusOr<States> InitialStates(const GoldenFile& file, const Block& block) {
  States states;
  if (file.Has("conv_state0")) {
    CAROUSEL_ASSIGN_OR_RETURN(const Tensor conv, file.Get("conv_state0"));
    states["conv"] = ConvRowsOfFile(conv.values, block.batch);
  }
  if (block.slstm) {
    CAROUSEL_ASSIGN_OR_RETURN(const Tensor cell, file.Get("slstm_state0"));
    SetSlstmVector(cell.values, states);
    return states;
  }
  for (const char* part : {"C", "n", "m"}) {
    CAROUSEL_ASSIGN_OR_RETURN(const Tensor tensor, file.Get(absl::StrCat(part, "0")));
    states[part] = tensor.values;
  }
  return states;
}

// The gradient of the rows before the segment, from its first rows' dz.
Values FromFirstRows(const Values& dz, const Values& weight, int64_t batch) {
  const int64_t width = static_cast<int64_t>(weight.size()) / 4;
  Values gradient(dz.size());
  for (int64_t row = 0; row < 3; ++row) {
    for (int64_t from = 0; from <= row; ++from) {
      for (int64_t j = 0; j < batch * width; ++j) {
        gradient[row * batch * width + j] +=
            weight[(j % width) * 4 + row - from] * dz[from * batch * width + j];
      }
    }
  }
  return gradient;
}

absl::StatusOr<Values> ConvWeight(const GoldenFile& file) {
  CAROUSEL_ASSIGN_OR_RETURN(Tensor weight, file.Get("param.xlstm.conv1d.conv.weight"));
  return std::move(weight.values);
}

// Weights of the cell's final states in the functional, as WriteStateGradients takes them.
absl::StatusOr<States> CellWeights(const GoldenFile& file, const Block& block) {
  States weights;
  if (block.slstm) {
    CAROUSEL_ASSIGN_OR_RETURN(const Tensor cell, file.Get("w.slstm_state_last"));
    SetSlstmVector(cell.values, weights);
    return weights;
  }
  for (const char* part : {"C", "n"}) {
    CAROUSEL_ASSIGN_OR_RETURN(const Tensor tensor, file.Get(absl::StrCat("w.", part, "_last")));
    weights[part] = tensor.values;
  }
  return weights;
}

// Gradients by their names in the file after the prefix, in its layouts.
using Gradients = std::map<std::string, Values>;

absl::Status CheckFinalStates(const GoldenFile& file, const Block& block, const States& states,
                              const std::string& label, Comparison& comparison) {
  const Group group = Group::kOutput;
  for (const char* part : {"C", "n", "m"}) {
    const std::string name = absl::StrCat(part, "_last");
    if (block.slstm || !file.Has(name)) continue;
    CAROUSEL_RETURN_IF_ERROR(comparison.Check(group, name, states.at(part), label));
  }
  if (!block.slstm || !file.Has("slstm_state_last")) return absl::OkStatus();
  CAROUSEL_RETURN_IF_ERROR(comparison.Check(group, "slstm_state_last", SlstmVector(states), label));
  return comparison.Check(group, "conv_state_last", FileRowsOfConv(states.at("conv"), block.batch),
                          label);
}

absl::Status AddStateGradients(const GoldenFile& file, const Block& block, const States& states,
                               Gradients& gradients) {
  if (!block.slstm) {
    gradients["C0"] = states.at("C");
    gradients["n0"] = states.at("n");
    return absl::OkStatus();
  }
  CAROUSEL_ASSIGN_OR_RETURN(const Values taps, ConvWeight(file));
  gradients["slstm_state0"] = SlstmVector(states);
  gradients["conv_state0"] =
      FileRowsOfConv(FromFirstRows(states.at("conv"), taps, block.batch), block.batch);
  return absl::OkStatus();
}

// A sequence cut into segments of `segment_steps`, forward and backward.
class BlockRun {
 public:
  BlockRun(const GoldenFile& file, const Block& block, int64_t segment_steps)
      : file_(file), block_(block), segment_steps_(segment_steps) {
    for (int64_t first = 0; first < block.steps; first += segment_steps) first_.push_back(first);
    label_ = segments() > 1 ? "segmented" : "";
  }

  absl::Status Forward(Device& device) {
    CAROUSEL_ASSIGN_OR_RETURN(golden_,
                              NewStage(file_, device, block_, block_.first_index() + segments()));
    device.Write(block_.x, golden_->stage().Input(Whole()));
    if (block_.has_state) {
      CAROUSEL_ASSIGN_OR_RETURN(const States states, InitialStates(file_, block_));
      WriteStates(*golden_, block_.unit, block_.first_index(), states);
    }
    for (int s = 0; s < segments(); ++s) golden_->stage().Forward(At(s));
    return absl::OkStatus();
  }

  absl::Status CheckOutputs(Comparison& comparison) const {
    const Values y = golden_->Rows(golden_->stage().Output(Whole()), Whole());
    CAROUSEL_RETURN_IF_ERROR(comparison.Check(Group::kOutput, "y", y, label_));
    return CheckFinalStates(file_, block_, ReadStates(*golden_, block_.unit, last_border()), label_,
                            comparison);
  }

  // Gradients of sum(w * y) and the weighed final states. Backward uses up what forward kept: once
  // after each Forward.
  absl::StatusOr<Gradients> Backward(const States& weights) {
    Stage& stage = golden_->stage();
    WriteStateGradients(*golden_, block_.unit, last_border(), weights);
    golden_->device().Write(block_.w, stage.OutputGradient(Whole()));
    golden_->ClearGradients();
    for (int s = segments() - 1; s >= 0; --s) stage.BackwardInput(At(s));
    stage.BackwardWeight(Whole());

    Gradients gradients = {{"x", golden_->Rows(stage.InputGradient(Whole()), Whole())}};
    for (const GoldenStage::Named& named : golden_->parameters()) {
      gradients["param." + named.name] = golden_->Gradient(named);
    }
    if (!block_.has_state) return gradients;
    const States states = ReadStateGradients(*golden_, block_.unit, block_.first_index());
    CAROUSEL_RETURN_IF_ERROR(AddStateGradients(file_, block_, states, gradients));
    return gradients;
  }

  const std::string& label() const { return label_; }

 private:
  int segments() const { return static_cast<int>(first_.size()); }
  int last_border() const { return block_.first_index() + segments(); }
  // No segment is the last: the final states are wanted.
  Segment At(int s) const {
    const int64_t steps = std::min(segment_steps_, block_.steps - first_[s]);
    return golden_->At(first_[s], steps, block_.first_index() + s, /*last=*/false);
  }
  Segment Whole() const {
    return golden_->At(0, block_.steps, block_.first_index(), /*last=*/false);
  }

  const GoldenFile& file_;
  const Block& block_;
  const int64_t segment_steps_;
  std::vector<int64_t> first_;
  std::string label_;
  std::unique_ptr<GoldenStage> golden_;
};

// Adds the gradients of the convolution's weighed final rows.
//
// Those rows are the last three of LN(x). In a pipeline nobody weighs them, a later segment sends
// its dz instead (which the segmented runs do); so this part goes through the norm alone.
absl::Status AddConvRows(const GoldenFile& file, Device& device, const Block& block,
                         Gradients& gradients) {
  const int64_t batch = block.batch, steps = block.steps, d = block.model.dim();
  CAROUSEL_ASSIGN_OR_RETURN(const Values w, file.Get("w.conv_state_last", {batch, 3, d}));
  CAROUSEL_ASSIGN_OR_RETURN(const Values scale, file.Get("param.xlstm_norm.weight", {d}));
  Values dy(batch * steps * d);
  Values& before = gradients.at("conv_state0");  // of a short sequence some are still there
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t row = 0; row < 3; ++row) {
      const int64_t step = steps - 3 + row;
      const auto from = w.begin() + (b * 3 + row) * d;
      const auto to = step >= 0 ? dy.begin() + (step * batch + b) * d
                                : before.begin() + (b * 3 + row + steps) * d;
      std::transform(from, from + d, to, to, std::plus<>());
    }
  }
  const kernels::NormShape shape = {
      .rows = batch * steps, .width = d, .residual_weight = true, .epsilon = 1e-5};
  const kernels::Span x = device.Upload(block.x), weight = device.Upload(scale);
  const kernels::Span y = device.Zeros(x.size()), stats = device.Zeros(2 * shape.rows);
  const kernels::Span grad = device.Upload(dy), dx = device.Zeros(x.size());
  const kernels::Span dweight = device.Zeros(d);
  device.Run(kernels::NormForward{shape, x, weight, y, stats});
  device.Run(kernels::NormBackwardInput{shape, x, weight, stats, grad, {}, dx});
  device.Run(kernels::NormBackwardWeight{shape, x, stats, grad, dweight});
  auto add = [](const Values& part, Values& sum) {
    std::transform(part.begin(), part.end(), sum.begin(), sum.begin(), std::plus<>());
  };
  add(SequenceMajor(device.Download(dx), batch, steps), gradients.at("x"));
  add(device.Download(dweight), gradients.at("param.xlstm_norm.weight"));
  return absl::OkStatus();
}

absl::Status CheckPass(const GoldenFile& file, Device& device, const Block& block,
                       int64_t segment_steps, bool states, Comparison& comparison) {
  BlockRun run(file, block, segment_steps);
  CAROUSEL_RETURN_IF_ERROR(run.Forward(device));
  CAROUSEL_RETURN_IF_ERROR(run.CheckOutputs(comparison));
  States weights;
  if (states) {
    CAROUSEL_ASSIGN_OR_RETURN(weights, CellWeights(file, block));
  }
  CAROUSEL_ASSIGN_OR_RETURN(Gradients gradients, run.Backward(weights));
  if (states && block.slstm) {
    CAROUSEL_RETURN_IF_ERROR(AddConvRows(file, device, block, gradients));
  }
  const std::string prefix = states ? "grad_s_mdetach." : "grad_mdetach.";
  for (const auto& [name, ours] : gradients) {
    CAROUSEL_RETURN_IF_ERROR(comparison.Check(Group::kGradient, prefix + name, ours, run.label()));
  }
  return absl::OkStatus();
}

// Token by token: as we start (the 2024 family's m0 = -inf), and as the reference's step does.
absl::Status CheckSteps(const GoldenFile& file, Device& device, const Block& block, bool same_start,
                        Comparison& comparison) {
  CAROUSEL_ASSIGN_OR_RETURN(const std::unique_ptr<GoldenStage> golden,
                            NewStage(file, device, block, /*borders=*/2));
  const int first = same_start ? 1 : 0;
  const Segment whole = golden->At(0, block.steps, first, /*last=*/false);
  device.Write(block.x, golden->stage().Input(whole));
  if (same_start) WriteStates(*golden, block.unit, first, {});
  for (int64_t t = 0; t < block.steps; ++t) {
    golden->stage().Forward(golden->At(t, 1, first + static_cast<int>(t), /*last=*/false));
  }
  const Values y = golden->Rows(golden->stage().Output(whole), whole);
  CAROUSEL_RETURN_IF_ERROR(comparison.Check(same_start ? Group::kOutput : Group::kStep, "step.y", y,
                                            same_start ? "from m0 = 0" : ""));
  const StepStates names = {"step.C_last", "step.n_last", "step.m_last", "step.conv_state_last",
                            "step.slstm_state_last"};
  const States last = ReadStates(*golden, block.unit, first + static_cast<int>(block.steps));
  return CheckStepStates(file, last, names, same_start, block.batch, comparison);
}

}  // namespace

absl::Status RunBlock(const GoldenFile& file, Device& device, Comparison& comparison) {
  CAROUSEL_ASSIGN_OR_RETURN(const Block block, ReadBlock(file));
  for (int64_t segment_steps : {block.steps, block.chunk}) {
    for (bool states : {false, true}) {
      if (states && file.Names("grad_s_mdetach.").empty()) continue;
      CAROUSEL_RETURN_IF_ERROR(CheckPass(file, device, block, segment_steps, states, comparison));
    }
  }
  if (!file.Has("step.y")) return absl::OkStatus();
  for (bool same_start : {false, true}) {
    CAROUSEL_RETURN_IF_ERROR(CheckSteps(file, device, block, same_start, comparison));
  }
  return absl::OkStatus();
}

}  // namespace carousel::golden
