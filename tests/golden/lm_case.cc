// A language model on the worker's stage: loss and gradients of a training pass, what stages
// exchange at every block border, and generation: token by token, from carried states, from a
// prefix that is no multiple of the chunk, and greedily.

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cluster/status_macros.h"
#include "tests/golden/cases.h"
#include "tests/golden/golden_stage.h"
#include "tests/golden/layout.h"
#include "tests/golden/state.h"

namespace carousel::golden {
namespace {

using Tokens = std::vector<int32_t>;

struct Lm {
  ModelSpec model;
  int64_t batch = 0, steps = 0, chunk = 0, predicted = 0;
  Tokens tokens, labels;

  bool large() const { return model.family() == XLSTM_LARGE; }
  int blocks() const { return static_cast<int>(model.num_blocks()); }
};

absl::StatusOr<Lm> ReadLm(const GoldenFile& file) {
  Lm lm;
  CAROUSEL_ASSIGN_OR_RETURN(lm.model, ReadModel(file, "param."));
  CAROUSEL_ASSIGN_OR_RETURN(lm.chunk, ChunkOf(file));
  CAROUSEL_ASSIGN_OR_RETURN(const Shape shape, file.ShapeOf("tokens"));
  if (shape.size() != 2) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.path(), ": tokens is ", Text(shape), " instead of [B, S]"));
  }
  lm.batch = shape[0], lm.steps = shape[1];
  const int64_t vocab = lm.model.vocab_size();
  CAROUSEL_ASSIGN_OR_RETURN(lm.tokens, file.GetTokens("tokens", shape, 0, vocab));
  CAROUSEL_ASSIGN_OR_RETURN(lm.labels, file.GetTokens("labels", shape, -1, vocab));
  lm.predicted =
      std::count_if(lm.labels.begin(), lm.labels.end(), [](int32_t l) { return l >= 0; });
  if (lm.predicted == 0) {
    return absl::InvalidArgumentError(absl::StrCat(file.path(), ": every label is ignored"));
  }
  return lm;
}

absl::StatusOr<std::unique_ptr<GoldenStage>> NewStage(const GoldenFile& file, Device& device,
                                                      const Lm& lm, int64_t steps, int borders) {
  CAROUSEL_ASSIGN_OR_RETURN(
      std::unique_ptr<GoldenStage> golden,
      GoldenStage::Create(
          device, lm.model,
          {.steps = steps, .batch = lm.batch, .chunk = lm.chunk, .borders = borders}));
  CAROUSEL_RETURN_IF_ERROR(golden->LoadWeights(file, "param."));
  return golden;
}

// Logits of a segment as files have them: soft-capped, [B, S, V].
Values Logits(GoldenStage& golden, const Segment& segment) {
  Values logits = golden.Rows(golden.stage().head()->logits(segment), segment);
  const double cap = golden.model().output_logit_soft_cap();
  if (golden.model().family() == XLSTM_LARGE) {
    for (double& logit : logits) logit = cap * std::tanh(logit / cap);
  }
  return logits;
}

Values Scaled(Values values, double factor) {
  for (double& value : values) value *= factor;
  return values;
}

absl::Status CheckForward(const Lm& lm, GoldenStage& golden, const Segment& whole,
                          const std::string& label, Comparison& comparison) {
  const Group group = Group::kOutput;
  CAROUSEL_RETURN_IF_ERROR(comparison.Check(group, "logits", Logits(golden, whole), label));
  CAROUSEL_ASSIGN_OR_RETURN(const double loss_sum, golden.stage().LossSum());
  CAROUSEL_RETURN_IF_ERROR(
      comparison.Check(group, "loss", Values{loss_sum / static_cast<double>(lm.predicted)}, label));
  for (int block = 0; block <= lm.blocks(); ++block) {
    const Values rows = golden.Rows(golden.stage().UnitInput(block + 1, whole), whole);
    CAROUSEL_RETURN_IF_ERROR(comparison.Check(group, absl::StrCat("hidden.", block), rows, label));
  }
  return absl::OkStatus();
}

// Ours are gradients of the loss sum, the file's of the mean.
absl::Status CheckGradients(const Lm& lm, GoldenStage& golden, const Segment& whole,
                            const std::string& label, Comparison& comparison) {
  const Group group = Group::kGradient;
  const double factor = 1 / static_cast<double>(lm.predicted);
  for (int block = 0; block <= lm.blocks(); ++block) {
    const Values rows = golden.Rows(golden.stage().UnitInputGradient(block + 1, whole), whole);
    CAROUSEL_RETURN_IF_ERROR(comparison.Check(group, absl::StrCat("grad_hidden_mdetach.", block),
                                              Scaled(rows, factor), label));
  }
  double squares = 0;
  for (const GoldenStage::Named& named : golden.parameters()) {
    const Values gradient = Scaled(golden.Gradient(named), factor);
    for (double g : gradient) squares += g * g;
    CAROUSEL_RETURN_IF_ERROR(
        comparison.Check(group, "grad_mdetach." + named.name, gradient, label));
  }
  return comparison.Check(group, "grad_norm_mdetach", Values{std::sqrt(squares)}, label);
}

// A training pass in segments of `segment_steps`.
absl::Status CheckTraining(const GoldenFile& file, Device& device, const Lm& lm,
                           int64_t segment_steps, Comparison& comparison) {
  const int segments = static_cast<int>((lm.steps + segment_steps - 1) / segment_steps);
  const std::string label = segments > 1 ? "segmented" : "";
  CAROUSEL_ASSIGN_OR_RETURN(const std::unique_ptr<GoldenStage> golden,
                            NewStage(file, device, lm, lm.steps, segments));
  golden->LoadTokens(lm.tokens, lm.labels);
  auto at = [&](int s) {
    const int64_t first = s * segment_steps;
    return golden->At(first, std::min(segment_steps, lm.steps - first), s, s + 1 == segments);
  };
  const Segment whole = golden->At(0, lm.steps, 0, /*last=*/true);
  Stage& stage = golden->stage();
  stage.ResetStepCounters();
  golden->ClearGradients();
  for (int s = 0; s < segments; ++s) stage.Forward(at(s));
  CAROUSEL_RETURN_IF_ERROR(CheckForward(lm, *golden, whole, label, comparison));
  for (int s = segments - 1; s >= 0; --s) stage.BackwardInput(at(s));
  stage.BackwardWeight(whole);
  return CheckGradients(lm, *golden, whole, label, comparison);
}

// Token by token: as we start (m0 = -inf) and as the reference's step does (m0 = 0).
absl::Status CheckSteps(const GoldenFile& file, Device& device, const Lm& lm, bool same_start,
                        Comparison& comparison) {
  CAROUSEL_ASSIGN_OR_RETURN(const std::unique_ptr<GoldenStage> golden,
                            NewStage(file, device, lm, lm.steps, /*borders=*/2));
  golden->LoadTokens(lm.tokens, {});
  const int first = same_start ? 1 : 0;
  for (int block = 0; same_start && block < lm.blocks(); ++block) {
    WriteZeroStates(*golden, block + 1, first);
  }
  for (int64_t t = 0; t < lm.steps; ++t) {
    golden->stage().Forward(golden->At(t, 1, first + static_cast<int>(t), /*last=*/false));
  }
  const Segment whole = golden->At(0, lm.steps, first, /*last=*/false);
  CAROUSEL_RETURN_IF_ERROR(comparison.Check(same_start ? Group::kOutput : Group::kStep,
                                            "step.logits", Logits(*golden, whole),
                                            same_start ? "from m0 = 0" : ""));
  for (int block = 0; block < lm.blocks(); ++block) {
    const std::string name = absl::StrCat("step.state.", block, ".");
    const StepStates names = {name + "C", name + "n", name + "m", name + "conv", name + "slstm"};
    const States last = ReadStates(*golden, block + 1, first + static_cast<int>(lm.steps));
    CAROUSEL_RETURN_IF_ERROR(CheckStepStates(file, last, names, same_start, lm.batch, comparison));
  }
  return absl::OkStatus();
}

// Rows [B, S...] of both, one after the other in time.
Tokens Joined(const Tokens& a, const Tokens& b, int64_t batch) {
  Tokens joined;
  const auto steps_a = static_cast<int64_t>(a.size()) / batch;
  const auto steps_b = static_cast<int64_t>(b.size()) / batch;
  for (int64_t row = 0; row < batch; ++row) {
    joined.insert(joined.end(), a.begin() + row * steps_a, a.begin() + (row + 1) * steps_a);
    joined.insert(joined.end(), b.begin() + row * steps_b, b.begin() + (row + 1) * steps_b);
  }
  return joined;
}

// xlstm_large: the states after the sequence, and a second segment that goes on from them.
absl::Status CheckContinuation(const GoldenFile& file, Device& device, const Lm& lm,
                               Comparison& comparison) {
  CAROUSEL_ASSIGN_OR_RETURN(const Shape shape, file.ShapeOf("cont.tokens"));
  if (shape.size() != 2) {
    return absl::InvalidArgumentError(absl::StrCat(file.path(), ": cont.tokens is not [B, S]"));
  }
  CAROUSEL_ASSIGN_OR_RETURN(const Tokens more, file.GetTokens("cont.tokens", {lm.batch, shape[1]},
                                                              0, lm.model.vocab_size()));
  CAROUSEL_ASSIGN_OR_RETURN(const std::unique_ptr<GoldenStage> golden,
                            NewStage(file, device, lm, lm.steps + shape[1], /*borders=*/2));
  golden->LoadTokens(Joined(lm.tokens, more, lm.batch), {});
  golden->stage().Forward(golden->At(0, lm.steps, 0, /*last=*/false));
  for (int block = 0; block < lm.blocks(); ++block) {
    const States states = ReadStates(*golden, block + 1, 1);
    for (const char* part : {"C", "n", "m"}) {
      CAROUSEL_RETURN_IF_ERROR(comparison.Check(
          Group::kOutput, absl::StrCat("state.", block, ".", part), states.at(part)));
    }
  }
  const Segment second = golden->At(lm.steps, shape[1], 1, /*last=*/true);
  golden->stage().Forward(second);
  return comparison.Check(Group::kOutput, "cont.logits", Logits(*golden, second));
}

// A prefix of the sequences by itself.
absl::Status CheckPrefix(const GoldenFile& file, Device& device, const Lm& lm,
                         Comparison& comparison) {
  CAROUSEL_ASSIGN_OR_RETURN(const Shape shape, file.ShapeOf("odd.logits"));
  if (shape.size() != 3 || shape[1] > lm.steps) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.path(), ": odd.logits is ", Text(shape), ", not of a prefix of tokens"));
  }
  Tokens prefix;
  for (int64_t row = 0; row < lm.batch; ++row) {
    const auto begin = lm.tokens.begin() + row * lm.steps;
    prefix.insert(prefix.end(), begin, begin + shape[1]);
  }
  CAROUSEL_ASSIGN_OR_RETURN(const std::unique_ptr<GoldenStage> golden,
                            NewStage(file, device, lm, shape[1], /*borders=*/1));
  golden->LoadTokens(prefix, {});
  const Segment all = golden->At(0, shape[1], 0, /*last=*/true);
  golden->stage().Forward(all);
  return comparison.Check(Group::kOutput, "odd.logits", Logits(*golden, all));
}

// The likeliest token after each sequence, from logits [B, S, V].
Tokens Likeliest(const Values& logits, int64_t batch, int64_t vocab) {
  const int64_t row = static_cast<int64_t>(logits.size()) / batch;
  Tokens best;
  for (int64_t b = 1; b <= batch; ++b) {
    const auto last = logits.begin() + b * row - vocab;
    best.push_back(static_cast<int32_t>(std::max_element(last, last + vocab) - last));
  }
  return best;
}

// Greedy continuation: the prefix as one segment, then one segment a token.
absl::Status CheckGeneration(const GoldenFile& file, Device& device, const Lm& lm,
                             Comparison& comparison) {
  const int64_t vocab = lm.model.vocab_size();
  CAROUSEL_ASSIGN_OR_RETURN(const Shape prefix_shape, file.ShapeOf("gen.prefix"));
  CAROUSEL_ASSIGN_OR_RETURN(const Shape shape, file.ShapeOf("gen.tokens"));
  CAROUSEL_ASSIGN_OR_RETURN(Tokens tokens, file.GetTokens("gen.prefix", prefix_shape, 0, vocab));
  CAROUSEL_ASSIGN_OR_RETURN(const Tokens truth, file.GetTokens("gen.tokens", shape, 0, vocab));
  if (prefix_shape.size() != 2 || shape.size() != 2 || prefix_shape[0] != lm.batch ||
      shape[0] != lm.batch) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.path(), ": gen.prefix and gen.tokens are not [B, S]"));
  }
  CAROUSEL_ASSIGN_OR_RETURN(const std::unique_ptr<GoldenStage> golden,
                            NewStage(file, device, lm, prefix_shape[1] + shape[1], /*borders=*/2));
  Tokens generated;
  int64_t first = 0, steps = prefix_shape[1];
  for (int index = 0; index < shape[1]; ++index) {
    golden->LoadTokens(tokens, {});
    const Segment segment = golden->At(first, steps, index, /*last=*/false);
    golden->stage().Forward(segment);
    const Tokens next = Likeliest(Logits(*golden, segment), lm.batch, vocab);
    generated = Joined(generated, next, lm.batch);
    tokens = Joined(tokens, next, lm.batch);
    first += steps;
    steps = 1;
  }
  return comparison.CheckDerived(Group::kOutput, "gen.tokens", Values(truth.begin(), truth.end()),
                                 Values(generated.begin(), generated.end()));
}

}  // namespace

absl::Status RunLanguageModel(const GoldenFile& file, Device& device, Comparison& comparison) {
  CAROUSEL_ASSIGN_OR_RETURN(const Lm lm, ReadLm(file));
  for (int64_t segment_steps : {lm.steps, lm.chunk}) {
    CAROUSEL_RETURN_IF_ERROR(CheckTraining(file, device, lm, segment_steps, comparison));
  }
  if (file.Has("step.logits")) {
    for (bool same_start : {false, true}) {
      CAROUSEL_RETURN_IF_ERROR(CheckSteps(file, device, lm, same_start, comparison));
    }
  }
  if (file.Has("cont.tokens")) {
    CAROUSEL_RETURN_IF_ERROR(CheckContinuation(file, device, lm, comparison));
  }
  if (file.Has("odd.logits")) {
    CAROUSEL_RETURN_IF_ERROR(CheckPrefix(file, device, lm, comparison));
  }
  if (!file.Has("gen.tokens")) return absl::OkStatus();
  return CheckGeneration(file, device, lm, comparison);
}

}  // namespace carousel::golden
