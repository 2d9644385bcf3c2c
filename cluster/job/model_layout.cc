#include "cluster/job/model_layout.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "cluster/check.h"

namespace carousel {
namespace {

using Kind = Initializer::Kind;

Initializer Constant(double value) { return {Kind::kConstant, value}; }
Initializer Linspace(double first, double last) { return {Kind::kLinspace, first, last}; }

// N(0, sqrt(2 / (5 D))): Nguyen & Salazar 2019, "SmallInit".
Initializer SmallInit(int64_t dim) {
  return {Kind::kNormal, std::sqrt(2.0 / (5.0 * static_cast<double>(dim)))};
}

// N(0, 2 / (blocks sqrt(D))): Wang & Komatsuzaki 2021, for maps back into the residual stream.
Initializer WangInit(int64_t dim, int64_t blocks) {
  return {Kind::kNormal, 2.0 / (static_cast<double>(blocks) * std::sqrt(static_cast<double>(dim)))};
}

// b_j = -(-5 + 12 (j / (DH - 1))^(0.3 + 1.3 r)): from +5 at unit 0 to -7 at the last, r the block's
// place in the stack.
Initializer SlstmBias(int64_t block, int64_t blocks) {
  const double place =
      blocks > 1 ? static_cast<double>(block) / static_cast<double>(blocks - 1) : 0.0;
  return {Kind::kSlstmBias, -5, 7, 0.3 + 1.3 * place};
}

// What a tensor is, which decides its weight decay.
enum class Role {
  kMatrix,     // a linear map, dense or block-diagonal
  kConvTaps,   // named "weight", but no matrix
  kUndecayed,  // embedding, norm, bias, skip, recurrent kernel
};

class UnitBuilder {
 public:
  UnitBuilder(UnitKind kind, int block, std::string prefix) : prefix_(std::move(prefix)) {
    unit_.kind = kind;
    unit_.block = block;
  }

  UnitBuilder& Add(std::string_view name, std::vector<int64_t> shape, const Initializer& init,
                   Role role = Role::kUndecayed) {
    TensorLayout tensor;
    tensor.name = prefix_ + std::string(name);
    tensor.shape = std::move(shape);
    tensor.init = init;
    tensor.decays_nxai = role != Role::kUndecayed;
    tensor.decays_kernel_only = role == Role::kMatrix;
    unit_.tensors.push_back(std::move(tensor));
    return *this;
  }

  UnitLayout Take() { return std::move(unit_); }

 private:
  const std::string prefix_;
  UnitLayout unit_;
};

UnitLayout MlstmBlock(const ModelSpec& model, int block) {
  const int64_t d = model.dim(), nh = model.num_heads(), inner = WidthsOf(model).mlstm_inner;
  const Initializer small = SmallInit(d);
  const std::vector<int64_t> blocks = {inner / kQkvBlock, kQkvBlock, kQkvBlock};
  return UnitBuilder(UnitKind::kMlstmBlock, block,
                     "xlstm_block_stack.blocks." + std::to_string(block) + ".")
      .Add("xlstm_norm.weight", {d}, Constant(0))  // norms of this family store weight - 1
      .Add("xlstm.proj_up.weight", {2 * inner, d}, small, Role::kMatrix)
      .Add("xlstm.q_proj.weight", blocks, small, Role::kMatrix)
      .Add("xlstm.k_proj.weight", blocks, small, Role::kMatrix)
      .Add("xlstm.v_proj.weight", blocks, small, Role::kMatrix)
      .Add("xlstm.conv1d.conv.weight", {inner, 1, kConvKernel}, {Kind::kUniform, 0.5},
           Role::kConvTaps)
      .Add("xlstm.conv1d.conv.bias", {inner}, {Kind::kUniform, 0.5})
      .Add("xlstm.mlstm_cell.igate.weight", {nh, 3 * inner}, Constant(0), Role::kMatrix)
      .Add("xlstm.mlstm_cell.igate.bias", {nh}, {Kind::kNormal, 0.1})
      .Add("xlstm.mlstm_cell.fgate.weight", {nh, 3 * inner}, Constant(0), Role::kMatrix)
      .Add("xlstm.mlstm_cell.fgate.bias", {nh}, Linspace(3, 6))
      .Add("xlstm.mlstm_cell.outnorm.weight", {inner}, Constant(0))
      .Add("xlstm.learnable_skip", {inner}, Constant(1))
      .Add("xlstm.proj_down.weight", {d, inner}, WangInit(d, model.num_blocks()), Role::kMatrix)
      .Take();
}

UnitLayout SlstmBlock(const ModelSpec& model, int block) {
  const int64_t d = model.dim(), nh = model.slstm_num_heads(), dh = d / nh;
  const int64_t ffn = WidthsOf(model).ffn;
  const Initializer small = SmallInit(d);
  return UnitBuilder(UnitKind::kSlstmBlock, block,
                     "xlstm_block_stack.blocks." + std::to_string(block) + ".")
      .Add("xlstm_norm.weight", {d}, Constant(0))
      .Add("xlstm.conv1d.conv.weight", {d, 1, kConvKernel}, {Kind::kUniform, 0.5}, Role::kConvTaps)
      .Add("xlstm.conv1d.conv.bias", {d}, {Kind::kUniform, 0.5})
      .Add("xlstm.fgate.weight", {nh, dh, dh}, small, Role::kMatrix)  // drives the input gate
      .Add("xlstm.igate.weight", {nh, dh, dh}, small, Role::kMatrix)  // drives the forget gate
      .Add("xlstm.zgate.weight", {nh, dh, dh}, small, Role::kMatrix)
      .Add("xlstm.ogate.weight", {nh, dh, dh}, small, Role::kMatrix)
      .Add("xlstm.slstm_cell._recurrent_kernel_", {nh, dh, 4, dh}, Constant(0))
      .Add("xlstm.slstm_cell._bias_", {nh, 4, dh}, SlstmBias(block, model.num_blocks()))
      .Add("xlstm.group_norm.weight", {d}, Constant(0))
      .Add("ffn_norm.weight", {d}, Constant(0))
      .Add("ffn.proj_up.weight", {2 * ffn, d}, small, Role::kMatrix)
      .Add("ffn.proj_down.weight", {d, ffn}, WangInit(d, model.num_blocks()), Role::kMatrix)
      .Take();
}

UnitLayout LargeMlstmBlock(const ModelSpec& model, int block) {
  const int64_t d = model.dim(), nh = model.num_heads();
  const ModelWidths widths = WidthsOf(model);
  const Initializer small = SmallInit(d), wang = WangInit(d, model.num_blocks());
  return UnitBuilder(UnitKind::kLargeMlstmBlock, block,
                     "backbone.blocks." + std::to_string(block) + ".")
      .Add("norm_mlstm.weight", {d}, Constant(1))
      .Add("mlstm_layer.q.weight", {widths.qk, d}, small, Role::kMatrix)
      .Add("mlstm_layer.k.weight", {widths.qk, d}, small, Role::kMatrix)
      .Add("mlstm_layer.v.weight", {widths.v, d}, small, Role::kMatrix)
      .Add("mlstm_layer.ogate_preact.weight", {widths.v, d}, Constant(0), Role::kMatrix)
      .Add("mlstm_layer.igate_preact.weight", {nh, d}, Constant(0), Role::kMatrix)
      .Add("mlstm_layer.igate_preact.bias", {nh}, Constant(model.igate_bias_init()))
      .Add("mlstm_layer.fgate_preact.weight", {nh, d}, Constant(0), Role::kMatrix)
      .Add("mlstm_layer.fgate_preact.bias", {nh}, Linspace(3, 6))
      .Add("mlstm_layer.multihead_norm.weight", {widths.v}, Constant(1))
      .Add("mlstm_layer.out_proj.weight", {d, widths.v}, wang, Role::kMatrix)
      .Add("norm_ffn.weight", {d}, Constant(1))
      .Add("ffn.proj_up_gate.weight", {widths.ffn, d}, small, Role::kMatrix)
      .Add("ffn.proj_up.weight", {widths.ffn, d}, small, Role::kMatrix)
      .Add("ffn.proj_down.weight", {d, widths.ffn}, wang, Role::kMatrix)
      .Take();
}

UnitLayout Block(const ModelSpec& model, int block) {
  if (model.family() == XLSTM_LARGE) return LargeMlstmBlock(model, block);
  const auto& slstm = model.slstm_at();
  return std::find(slstm.begin(), slstm.end(), block) != slstm.end() ? SlstmBlock(model, block)
                                                                     : MlstmBlock(model, block);
}

UnitLayout Embedding(const ModelSpec& model) {
  const std::string name =
      model.family() == XLSTM_LARGE ? "backbone.embeddings.weight" : "token_embedding.weight";
  return UnitBuilder(UnitKind::kEmbedding, -1, "")
      .Add(name, {model.vocab_size(), model.dim()}, SmallInit(model.dim()))
      .Take();
}

UnitLayout Head(const ModelSpec& model) {
  const bool large = model.family() == XLSTM_LARGE;
  UnitBuilder unit(UnitKind::kHead, -1, "");
  unit.Add(large ? "backbone.out_norm.weight" : "xlstm_block_stack.post_blocks_norm.weight",
           {model.dim()}, Constant(large ? 1 : 0));
  if (!model.tie_embeddings()) {
    unit.Add("lm_head.weight", {model.vocab_size(), model.dim()}, SmallInit(model.dim()),
             Role::kMatrix);
  }
  return unit.Take();
}

}  // namespace

ModelWidths WidthsOf(const ModelSpec& model) {
  constexpr int64_t kMultiple = 64;
  const auto d = static_cast<double>(model.dim());
  // The two released code bases round differently between multiples: the older one the real
  // number up, the newer one its whole part.
  const auto up = [](double width) {
    return static_cast<int64_t>(std::ceil(width / kMultiple)) * kMultiple;
  };
  const auto whole_up = [](double width) {
    return (static_cast<int64_t>(width) + kMultiple - 1) / kMultiple * kMultiple;
  };
  ModelWidths widths;
  if (model.family() == XLSTM_LARGE) {
    widths.qk = std::llround(model.qk_dim_factor() * d);
    widths.v = model.dim();
    widths.ffn = whole_up(model.ffn_factor() * d);
  } else {
    widths.mlstm_inner = up(model.mlstm_proj_factor() * d);
    widths.qk = widths.v = widths.mlstm_inner;
    widths.ffn = up(model.slstm_ffn_factor() * d);
  }
  return widths;
}

ModelLayout LayOut(const ModelSpec& model) {
  CAROUSEL_CHECK(model.family() == XLSTM || model.family() == XLSTM_LARGE);
  ModelLayout layout;
  layout.tied_head = model.tie_embeddings();
  layout.units.push_back(Embedding(model));
  for (int block = 0; block < model.num_blocks(); ++block) {
    layout.units.push_back(Block(model, block));
  }
  layout.units.push_back(Head(model));
  int index = 0;
  for (UnitLayout& unit : layout.units) {
    for (TensorLayout& tensor : unit.tensors) tensor.index = index++;
  }
  return layout;
}

int64_t TensorLayout::Elements() const {
  int64_t elements = 1;
  for (int64_t size : shape) elements *= size;
  return elements;
}

int64_t UnitLayout::Elements() const {
  int64_t elements = 0;
  for (const TensorLayout& tensor : tensors) elements += tensor.Elements();
  return elements;
}

int64_t UnitLayout::Bytes() const {
  int64_t bytes = 0;
  for (const TensorLayout& tensor : tensors) bytes += tensor.Bytes();
  return bytes;
}

int64_t UnitLayout::Granules() const {
  int64_t granules = 0;
  for (const TensorLayout& tensor : tensors) granules += tensor.Granules();
  return granules;
}

int64_t ModelLayout::Elements() const {
  int64_t elements = 0;
  for (const UnitLayout& unit : units) elements += unit.Elements();
  return elements;
}

int64_t ModelLayout::Bytes() const {
  int64_t bytes = 0;
  for (const UnitLayout& unit : units) bytes += unit.Bytes();
  return bytes;
}

}  // namespace carousel
