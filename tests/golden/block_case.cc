// One residual block, on the worker's stage: forward, gradients, states in and out, whole and one
// segment a chunk, and the 2024 family's token by token.

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/status_macros.h"
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
  if (block.slstm) {
    CAROUSEL_ASSIGN_OR_RETURN(const Tensor cell, file.Get("slstm_state0"));
    CAROUSEL_ASSIGN_OR_RETURN(const Tensor conv, file.Get("conv_state0"));
    SetSlstmVector(cell.values, states);
    states["conv"] = ConvRowsOfFile(conv.values, block.batch);
    return states;
  }
  for (const char* part : {"C", "n", "m"}) {
    CAROUSEL_ASSIGN_OR_RETURN(const Tensor tensor, file.Get(absl::StrCat(part, "0")));
    states[part] = tensor.values;
  }
  return states;
}

// A gradient of the last three rows x[S-3...S-1] that the convolution passes on, as what a later
// segment would have sent: its first rows' dz. Row S-3 gets w0 dz0; row S-2 w1 dz0 + w0 dz1; row
// S-1 w2 dz0 + w1 dz1 + w0 dz2.
Values AsLaterRows(const Values& gradient, const Values& weight, int64_t batch) {
  const int64_t width = static_cast<int64_t>(weight.size()) / 4;
  Values dz(gradient.size());
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t d = 0; d < width; ++d) {
      const double* w = &weight[d * 4];
      auto at = [&](Values& rows, int64_t row) -> double& {
        return rows[(row * batch + b) * width + d];
      };
      Values rest = {gradient[b * width + d], gradient[(batch + b) * width + d],
                     gradient[(2 * batch + b) * width + d]};
      for (int64_t row = 0; row < 3; ++row) {
        for (int64_t earlier = 0; earlier < row; ++earlier) {
          rest[row] -= w[row - earlier] * at(dz, earlier);
        }
        at(dz, row) = rest[row] / w[0];
      }
    }
  }
  return dz;
}

// The other way round: the gradient of the rows before the segment from its first rows' dz.
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

// sum(w * y) + sum of the weighed final states: what gradients are of.
struct Functional {
  Values w;       // time-major
  States states;  // as WriteStateGradients takes them
};

// With `states` the cell's final states weigh in, with `conv` the convolution's rows too.
absl::StatusOr<Functional> ReadFunctional(const GoldenFile& file, const Block& block, bool states,
                                          bool conv) {
  Functional functional{block.w, {}};
  if (!states) return functional;
  if (block.slstm) {
    CAROUSEL_ASSIGN_OR_RETURN(const Tensor cell, file.Get("w.slstm_state_last"));
    SetSlstmVector(cell.values, functional.states);
    if (!conv) return functional;
    CAROUSEL_ASSIGN_OR_RETURN(const Tensor rows, file.Get("w.conv_state_last"));
    CAROUSEL_ASSIGN_OR_RETURN(const Values taps, ConvWeight(file));
    functional.states["conv"] =
        AsLaterRows(ConvRowsOfFile(rows.values, block.batch), taps, block.batch);
    return functional;
  }
  for (const char* part : {"C", "n"}) {
    CAROUSEL_ASSIGN_OR_RETURN(const Tensor tensor, file.Get(absl::StrCat("w.", part, "_last")));
    functional.states[part] = tensor.values;
  }
  return functional;
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

  // Backward uses up what forward kept: once after each Forward.
  absl::StatusOr<Gradients> Backward(const Functional& functional) {
    Stage& stage = golden_->stage();
    WriteStateGradients(*golden_, block_.unit, last_border(), functional.states);
    golden_->device().Write(functional.w, stage.OutputGradient(Whole()));
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

// Gradients of the convolution's weighed final rows alone, in double.
//
// Rows are handed back as later rows' dz, which for given gradients of the rows takes divisions by
// taps that may be small: exact enough in double, far too large numbers in float. Gradients are
// linear in the functional: a double run compares all of it, a float run all but this part.
absl::StatusOr<Gradients> ConvPart(const GoldenFile& file, Device& device, const Block& block) {
  Device wide(&device.backend(), kernels::DType::kF64);
  CAROUSEL_ASSIGN_OR_RETURN(const Functional all, ReadFunctional(file, block, true, true));
  const Functional conv{Values(block.w.size()), {{"conv", all.states.at("conv")}}};
  BlockRun run(file, block, block.steps);
  CAROUSEL_RETURN_IF_ERROR(run.Forward(wide));
  return run.Backward(conv);
}

absl::Status CheckPass(const GoldenFile& file, Device& device, const Block& block,
                       int64_t segment_steps, bool states, Comparison& comparison) {
  const bool all = !states || !block.slstm || device.dtype() == kernels::DType::kF64;
  Gradients left_out;
  if (!all) {
    CAROUSEL_ASSIGN_OR_RETURN(left_out, ConvPart(file, device, block));
  }
  BlockRun run(file, block, segment_steps);
  CAROUSEL_RETURN_IF_ERROR(run.Forward(device));
  CAROUSEL_RETURN_IF_ERROR(run.CheckOutputs(comparison));
  CAROUSEL_ASSIGN_OR_RETURN(const Functional functional, ReadFunctional(file, block, states, all));
  CAROUSEL_ASSIGN_OR_RETURN(const Gradients gradients, run.Backward(functional));
  for (const auto& [name, ours] : gradients) {
    const std::string in_file = (states ? "grad_s_mdetach." : "grad_mdetach.") + name;
    CAROUSEL_ASSIGN_OR_RETURN(Tensor truth, file.Get(in_file));
    if (!all && truth.values.size() == ours.size()) {
      const Values& part = left_out.at(name);
      for (size_t j = 0; j < ours.size(); ++j) truth.values[j] -= part[j];
    }
    CAROUSEL_RETURN_IF_ERROR(
        comparison.CheckDerived(Group::kGradient, in_file, truth.values, ours, run.label()));
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
  if (same_start) WriteZeroStates(*golden, block.unit, first);
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
