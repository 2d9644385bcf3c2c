#include "tests/golden/golden_stage.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "cluster/status_macros.h"
#include "kernels/elementwise.h"
#include "tests/golden/layout.h"

namespace carousel::golden {
namespace {

using kernels::Span;

bool EndsWith(const std::string& text, const std::string& ending) {
  return text.size() >= ending.size() &&
         text.compare(text.size() - ending.size(), ending.size(), ending) == 0;
}

bool IsLarge(const GoldenFile& file) { return EndsWith(file.kind(), "_large"); }

// First extent of the first parameter whose name ends so; 0 if there is none.
absl::StatusOr<int64_t> FirstExtent(const GoldenFile& file, const std::string& prefix,
                                    const std::string& ending) {
  for (const std::string& name : file.Names(prefix)) {
    if (!EndsWith(name, ending)) continue;
    CAROUSEL_ASSIGN_OR_RETURN(const Shape shape, file.ShapeOf(name));
    return shape.empty() ? 0 : shape[0];
  }
  return 0;
}

// Positions of the sLSTM blocks: a list, or "all".
absl::Status ReadSlstmPositions(const GoldenFile& file, ModelSpec& model) {
  const auto at = file.config().find("slstm_at");
  if (at == file.config().end()) return absl::OkStatus();
  if (*at == "all") {
    for (int64_t block = 0; block < model.num_blocks(); ++block) model.add_slstm_at(block);
    return absl::OkStatus();
  }
  for (const auto& block : *at) {
    if (!block.is_number_integer()) {
      return absl::InvalidArgumentError(
          absl::StrCat(file.path(), ": config.slstm_at is neither \"all\" nor a list of blocks"));
    }
    model.add_slstm_at(block.get<int64_t>());
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ModelSpec> ReadModel(const GoldenFile& file, const std::string& prefix) {
  ModelSpec model;
  model.set_family(IsLarge(file) ? XLSTM_LARGE : XLSTM);
  model.set_dim(file.Int("dim", 0));
  model.set_num_blocks(file.Int("blocks", 0));
  model.set_num_heads(file.Int("heads", 0));
  model.set_vocab_size(file.Int("vocab", 0));
  for (const auto& [name, value] : {std::pair<const char*, int64_t>{"dim", model.dim()},
                                    {"blocks", model.num_blocks()},
                                    {"heads", model.num_heads()},
                                    {"vocab", model.vocab_size()}}) {
    if (value >= 1) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(file.path(), ": config.", name, " is missing or less than 1"));
  }
  const auto tie = file.config().find("tie");
  model.set_tie_embeddings(tie != file.config().end() && tie->is_boolean() && tie->get<bool>());
  if (IsLarge(file)) {
    model.set_qk_dim_factor(0.5);
    model.set_ffn_factor(2.6667);
    model.set_gate_soft_cap(15);
    model.set_output_logit_soft_cap(30);
    model.set_igate_bias_init(-10);
    return model;
  }
  CAROUSEL_RETURN_IF_ERROR(ReadSlstmPositions(file, model));
  CAROUSEL_ASSIGN_OR_RETURN(const int64_t heads, FirstExtent(file, prefix, "_recurrent_kernel_"));
  model.set_slstm_num_heads(heads > 0 ? heads : model.num_heads());
  model.set_slstm_ffn_factor(1.3);
  model.set_mlstm_proj_factor(2);
  return model;
}

absl::StatusOr<int64_t> ChunkOf(const GoldenFile& file) {
  const int64_t chunk = file.Int("chunk", 16);
  if (chunk >= 1) return chunk;
  return absl::InvalidArgumentError(
      absl::StrCat(file.path(), ": config.chunk is ", chunk, ", at least 1 is needed"));
}

absl::StatusOr<std::unique_ptr<GoldenStage>> GoldenStage::Create(Device& device,
                                                                 const ModelSpec& model,
                                                                 const Options& options) {
  std::unique_ptr<GoldenStage> golden(new GoldenStage(device, model, options));
  golden->layout_ = LayOut(golden->model_);
  if (options.end_unit == 0) {
    golden->options_.end_unit = static_cast<int>(golden->layout_.units.size());
  }
  const StageCapacity capacity = {.sequence_length = options.steps,
                                  .batch = options.batch,
                                  .slots = 1,
                                  .borders = options.borders,
                                  .chunk = options.chunk,
                                  .dtype = device.dtype()};
  CAROUSEL_ASSIGN_OR_RETURN(golden->stage_,
                            Stage::Create(&device.backend(), device.stream(),
                                          {.model = &golden->model_,
                                           .layout = &golden->layout_,
                                           .first_unit = golden->options_.first_unit,
                                           .end_unit = golden->options_.end_unit,
                                           .capacity = capacity}));
  for (const UnitParameters& unit : golden->stage_->parameters()) {
    for (const Parameter& parameter : unit.tensors()) {
      golden->named_.push_back({golden->NameInFile(*parameter.layout), &parameter});
    }
  }
  golden->resets_ = device.NoResets(options.steps * options.batch);
  return golden;
}

std::string GoldenStage::NameInFile(const TensorLayout& tensor) const {
  const bool one_block = options_.first_unit > 0;
  const size_t blocks = tensor.name.find("blocks.");
  if (one_block && blocks != std::string::npos) {
    return tensor.name.substr(tensor.name.find('.', blocks + 7) + 1);
  }
  return tensor.name == "backbone.embeddings.weight" ? "embedding.weight" : tensor.name;
}

absl::Status GoldenStage::LoadWeights(const GoldenFile& file, const std::string& prefix) {
  for (const Named& named : named_) {
    CAROUSEL_ASSIGN_OR_RETURN(Tensor tensor, file.Get(prefix + named.name));
    const TensorLayout& layout = *named.parameter->layout;
    if (static_cast<int64_t>(tensor.values.size()) != layout.Elements()) {
      return absl::InvalidArgumentError(absl::StrCat(file.path(), ": tensor ", prefix, named.name,
                                                     " is ", Text(tensor.shape), ", our model has ",
                                                     Text(layout.shape)));
    }
    const int64_t heads = model_.slstm_num_heads();
    if (EndsWith(named.name, "_recurrent_kernel_")) {
      tensor.values = IndependentKernel(tensor.values, heads, model_.dim() / heads);
    } else if (EndsWith(named.name, "slstm_cell._bias_")) {
      tensor.values = IndependentBias(tensor.values, heads, model_.dim() / heads);
    }
    device_.Write(tensor.values, named.parameter->weight);
  }
  return absl::OkStatus();
}

Values GoldenStage::InFileLayout(const Named& named, Span values) const {
  const int64_t heads = model_.slstm_num_heads();
  const Values ours = device_.Download(values);
  if (EndsWith(named.name, "_recurrent_kernel_")) {
    return VanillaKernel(ours, heads, model_.dim() / heads);
  }
  if (EndsWith(named.name, "slstm_cell._bias_")) {
    return VanillaBias(ours, heads, model_.dim() / heads);
  }
  return ours;
}

void GoldenStage::ClearGradients() {
  for (const UnitParameters& unit : stage_->parameters()) {
    device_.Run(kernels::Zero{.x = unit.gradients()});
  }
  if (!stage_->tied_gradient().empty()) {
    device_.Run(kernels::Zero{.x = stage_->tied_gradient()});
  }
}

Values GoldenStage::Gradient(const Named& named) const {
  Values gradient = InFileLayout(named, named.parameter->gradient);
  if (stage_->tied_gradient().empty() || named.name != named_.front().name) return gradient;
  const Values head = device_.Download(stage_->tied_gradient());
  for (size_t j = 0; j < gradient.size(); ++j) gradient[j] += head[j];
  return gradient;
}

void GoldenStage::LoadTokens(const std::vector<int32_t>& tokens,
                             const std::vector<int32_t>& labels) {
  const int64_t batch = options_.batch, steps = static_cast<int64_t>(tokens.size()) / batch;
  auto time_major = [&](const std::vector<int32_t>& rows) {
    std::vector<int32_t> columns;
    for (int64_t t = 0; t < steps; ++t) {
      for (int64_t b = 0; b < batch; ++b) columns.push_back(rows[b * steps + t]);
    }
    return columns;
  };
  tokens_ = device_.UploadTokens(time_major(tokens));
  labels_ = labels.empty() ? Span() : device_.UploadTokens(time_major(labels));
}

Segment GoldenStage::At(int64_t first, int64_t steps, int index, bool last) const {
  Segment segment;
  segment.first_step = first;
  segment.steps = steps;
  segment.batch = options_.batch;
  segment.index = index;
  segment.last = last;
  const int64_t row = segment.first_row(), rows = segment.rows();
  if (!tokens_.empty()) segment.tokens = tokens_.Slice(row, rows);
  if (!labels_.empty()) segment.labels = labels_.Slice(row, rows);
  segment.resets = resets_.Slice(row, rows);
  return segment;
}

Values GoldenStage::Rows(Span rows, const Segment& segment) const {
  return SequenceMajor(device_.Download(rows), segment.batch, segment.steps);
}

}  // namespace carousel::golden
