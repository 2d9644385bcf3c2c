#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "cluster/counted.h"
#include "cluster/job/field_checks.h"
#include "cluster/job/model_layout.h"
#include "cluster/job/scalars.h"
#include "cluster/job/validate.h"

namespace carousel {
namespace {

constexpr int64_t kMaxVocabulary = 1 << 22;
constexpr int64_t kMaxDim = 1 << 16;
constexpr int64_t kMaxBlocks = 4096;
constexpr int64_t kMaxHeads = 1024;
constexpr int64_t kMaxParameters = int64_t{1} << 40;
constexpr double kMaxFactor = 16;

// What ties the width to other fields. Each holds of a model that can be laid out.
using Condition = bool (*)(const ModelSpec&);

bool InnerWidthFits(const ModelSpec& model) {
  return WidthsOf(model).mlstm_inner % model.num_heads() == 0;
}

// A head of one unit has no variance to be normalised by.
bool SlstmHeadsFit(const ModelSpec& model) {
  return model.dim() % model.slstm_num_heads() == 0 && model.dim() / model.slstm_num_heads() >= 2;
}

bool HeadsFit(const ModelSpec& model) { return model.dim() % model.num_heads() == 0; }

bool QkWidthFits(const ModelSpec& model) {
  const double qk = model.qk_dim_factor() * static_cast<double>(model.dim());
  return qk == std::floor(qk) && static_cast<int64_t>(qk) % model.num_heads() == 0;
}

class ModelValidator {
 public:
  explicit ModelValidator(JobDraft* draft)
      : model_(draft->job.model()),
        checks_(draft),
        faults_(&draft->faults),
        family_(IsPresetRefused() ? FAMILY_UNSPECIFIED : model_.family()) {}

  // Returns whether the number of blocks is known.
  bool Validate() {
    const size_t before = faults_->size();
    CheckShape();
    CheckFamily();
    if (family_ != XLSTM_LARGE) CheckXlstm();
    if (family_ != XLSTM) CheckLarge();
    CheckTies();
    if (faults_->size() == before && complete_) CheckSize();
    return blocks_ok_;
  }

 private:
  void CheckShape() {
    Integer("vocab_size", model_.has_vocab_size(), model_.vocab_size(), 2, kMaxVocabulary);
    dim_ok_ = Integer("dim", model_.has_dim(), model_.dim(), 1, kMaxDim);
    blocks_ok_ = Integer("num_blocks", model_.has_num_blocks(), model_.num_blocks(), 1, kMaxBlocks);
    heads_ok_ = Integer("num_heads", model_.has_num_heads(), model_.num_heads(), 1, kMaxHeads);
  }

  // Without a family, the fields of both are checked as far as they were written.
  void CheckFamily() {
    if (family_ == XLSTM) return RefuseFieldsOfLarge();
    if (family_ == XLSTM_LARGE) return RefuseFieldsOfXlstm();
    complete_ = false;
    if (IsPresetRefused()) return;
    checks_.Missing("model.family",
                    "write xlstm or xlstm_large, or name a preset such as xlstm-125M-7:1");
  }

  void CheckXlstm() {
    const bool slstm_heads_ok =
        model_.has_slstm_num_heads() &&
        Integer("slstm_num_heads", true, model_.slstm_num_heads(), 1, kMaxHeads);
    Above("slstm_ffn_factor", model_.has_slstm_ffn_factor(), model_.slstm_ffn_factor());
    const bool factor_ok =
        Above("mlstm_proj_factor", model_.has_mlstm_proj_factor(), model_.mlstm_proj_factor());
    CheckPositions();
    if (family_ != XLSTM) return;
    if (heads_ok_ && factor_ok) Tie(InnerWidthFits, &ModelValidator::SayInnerWidth);
    if (slstm_heads_ok && model_.slstm_at_size() > 0) {
      Tie(SlstmHeadsFit, &ModelValidator::SaySlstmHeads);
    }
  }

  void CheckPositions() {
    if (model_.slstm_at_size() > kMaxBlocks) {
      checks_.Add("model.slstm_at", std::to_string(model_.slstm_at_size()) +
                                        " positions are above the limit of " + Grouped(kMaxBlocks));
      return;
    }
    for (int i = 0; i < model_.slstm_at_size(); ++i) CheckPosition(i);
  }

  void CheckPosition(int i) {
    const int64_t position = model_.slstm_at(i);
    const std::string path = "model.slstm_at[" + std::to_string(i) + "]";
    if (blocks_ok_ && (position < 0 || position >= model_.num_blocks())) {
      checks_.Add(path,
                  std::to_string(position) + " is no block: they are numbered 0 to " +
                      std::to_string(model_.num_blocks() - 1),
                  "if the positions are a preset's, give model.slstm_at too");
    } else if (position < 0) {
      checks_.Add(path, std::to_string(position) + " is no block: they are numbered from 0");
    } else if (i > 0 && position <= model_.slstm_at(i - 1)) {
      checks_.Add(path,
                  std::to_string(position) + " does not come after " +
                      std::to_string(model_.slstm_at(i - 1)),
                  "list each position once, ascending");
    }
  }

  void CheckLarge() {
    const bool qk_ok = Above("qk_dim_factor", model_.has_qk_dim_factor(), model_.qk_dim_factor());
    Above("ffn_factor", model_.has_ffn_factor(), model_.ffn_factor());
    Above("gate_soft_cap", model_.has_gate_soft_cap(), model_.gate_soft_cap(), 1e4);
    Above("output_logit_soft_cap", model_.has_output_logit_soft_cap(),
          model_.output_logit_soft_cap(), 1e4);
    if (model_.has_igate_bias_init()) {
      checks_.Number("model.igate_bias_init", true, model_.igate_bias_init(), -100, 100);
    }
    if (family_ != XLSTM_LARGE || !heads_ok_) return;
    Tie(HeadsFit, &ModelValidator::SayMlstmHeads);
    if (qk_ok) Tie(QkWidthFits, &ModelValidator::SayQkWidth);
  }

  void Tie(Condition holds, void (ModelValidator::*say)()) { ties_.push_back({holds, say}); }

  void CheckTies() {
    if (!dim_ok_) return;
    for (const auto& [holds, say] : ties_) {
      if (!holds(model_)) (this->*say)();
    }
  }

  void SayInnerWidth() {
    const int64_t heads = model_.num_heads();
    const std::string inner = std::to_string(WidthsOf(model_).mlstm_inner) +
                              " (mlstm_proj_factor * dim, rounded up to 64)";
    const std::string blamed =
        checks_.Blamed({"model.num_heads", "model.dim", "model.mlstm_proj_factor"});
    if (blamed == "model.num_heads") {
      return checks_.Add(
          blamed, std::to_string(heads) + " does not divide the blocks' inner width, " + inner,
          NearestHeads(heads, &ModelSpec::set_num_heads, InnerWidthFits));
    }
    const bool is_dim = blamed == "model.dim";
    checks_.Add(blamed,
                (is_dim ? std::to_string(model_.dim()) : NumberText(model_.mlstm_proj_factor())) +
                    " makes the blocks' inner width " + inner +
                    ", no multiple of model.num_heads, " + std::to_string(heads),
                is_dim ? NearestWidths() : "");
  }

  void SaySlstmHeads() {
    const int64_t heads = model_.slstm_num_heads();
    SayHeads("model.slstm_num_heads", heads,
             NearestHeads(heads, &ModelSpec::set_slstm_num_heads, SlstmHeadsFit));
  }

  void SayMlstmHeads() {
    const int64_t heads = model_.num_heads();
    SayHeads("model.num_heads", heads, NearestHeads(heads, &ModelSpec::set_num_heads, HeadsFit));
  }

  void SayHeads(const std::string& field, int64_t heads, const std::string& nearest) {
    const bool divides = model_.dim() % heads == 0;
    const std::string dim = std::to_string(model_.dim());
    if (checks_.Blamed({field, "model.dim"}) == "model.dim") {
      return checks_.Add("model.dim",
                         divides
                             ? dim + " leaves a head of one unit, fewer than 2, to each of " +
                                   field + ", " + std::to_string(heads)
                             : dim + " is no multiple of " + field + ", " + std::to_string(heads),
                         NearestWidths());
    }
    checks_.Add(field,
                std::to_string(heads) + (divides ? " leaves a head of one unit, fewer than 2"
                                                 : " does not divide model.dim, " + dim),
                nearest);
  }

  void SayQkWidth() {
    const double factor = model_.qk_dim_factor(), dim = static_cast<double>(model_.dim());
    const std::string problem = NumberText(factor * dim) + ", no multiple of the " +
                                std::to_string(model_.num_heads()) + " heads";
    const std::string blamed =
        checks_.Blamed({"model.qk_dim_factor", "model.dim", "model.num_heads"});
    if (blamed == "model.qk_dim_factor") {
      checks_.Add(blamed, NumberText(factor) + " times model.dim is " + problem, NearestFactors());
    } else if (blamed == "model.dim") {
      checks_.Add(blamed, NumberText(dim) + " times model.qk_dim_factor is " + problem,
                  NearestWidths());
    } else {
      checks_.Add(blamed, "qk_dim_factor times dim is " + problem,
                  NearestHeads(model_.num_heads(), &ModelSpec::set_num_heads, QkWidthFits));
    }
  }

  // Those with which all ties hold.
  std::string NearestWidths() const {
    ModelSpec model = model_;
    return NearestThatFit(model_.dim(), 1, kMaxDim, [&](int64_t dim) {
      model.set_dim(dim);
      return std::all_of(ties_.begin(), ties_.end(),
                         [&](const auto& tie) { return tie.first(model); });
    });
  }

  std::string NearestHeads(int64_t heads, void (ModelSpec::*set)(int64_t), Condition holds) const {
    ModelSpec model = model_;
    return NearestThatFit(heads, 1, kMaxHeads, [&](int64_t candidate) {
      (model.*set)(candidate);
      return holds(model);
    });
  }

  // A multiple of the heads on each side, if a number can say it.
  std::string NearestFactors() const {
    const auto dim = static_cast<double>(model_.dim());
    const auto heads = static_cast<double>(model_.num_heads());
    const double below = std::floor(model_.qk_dim_factor() * dim / heads) * heads;
    std::vector<std::string> candidates;
    for (const double width : {below, below + heads}) {
      ModelSpec model = model_;
      model.set_qk_dim_factor(width / dim);
      if (width > 0 && width / dim <= kMaxFactor && QkWidthFits(model)) {
        candidates.push_back(NumberText(width / dim));
      }
    }
    return NearestThatFit(candidates);
  }

  void RefuseFieldsOfXlstm() {
    Refuse("slstm_at", model_.slstm_at_size() > 0, "xlstm");
    Refuse("slstm_num_heads", model_.has_slstm_num_heads(), "xlstm");
    Refuse("slstm_ffn_factor", model_.has_slstm_ffn_factor(), "xlstm");
    Refuse("mlstm_proj_factor", model_.has_mlstm_proj_factor(), "xlstm");
  }

  void RefuseFieldsOfLarge() {
    Refuse("qk_dim_factor", model_.has_qk_dim_factor(), "xlstm_large");
    Refuse("ffn_factor", model_.has_ffn_factor(), "xlstm_large");
    Refuse("gate_soft_cap", model_.has_gate_soft_cap(), "xlstm_large");
    Refuse("output_logit_soft_cap", model_.has_output_logit_soft_cap(), "xlstm_large");
    Refuse("igate_bias_init", model_.has_igate_bias_init(), "xlstm_large");
  }

  void Refuse(const std::string& field, bool is_set, const std::string& family) {
    if (!is_set) return;
    checks_.Add("model." + field, "belongs to the family " + family + ", and this model is not one",
                "remove it");
  }

  void CheckSize() {
    const int64_t parameters = LayOut(model_).Elements();
    if (parameters > kMaxParameters) {
      checks_.Add("model", Grouped(parameters) + " parameters are above the limit of " +
                               Grouped(kMaxParameters));
    }
  }

  // Its preset is still there: it was refused, and with it what the fields left out would be.
  bool IsPresetRefused() const { return model_.has_preset(); }

  // Both return whether the value can be used by further checks.
  bool Integer(const std::string& field, bool is_set, int64_t value, int64_t least, int64_t most) {
    const bool unknown = !is_set && IsPresetRefused();
    const bool ok = !unknown && checks_.Integer("model." + field, is_set, value, least, most);
    complete_ = complete_ && ok;
    return ok;
  }

  // Of fields that belong to a family: unset only if that is unknown.
  bool Above(const std::string& field, bool is_set, double value, double most = kMaxFactor) {
    const bool ok = is_set && checks_.Above("model." + field, true, value, 0, most);
    complete_ = complete_ && ok;
    return ok;
  }

  const ModelSpec& model_;
  FieldChecks checks_;
  const Faults* const faults_;
  const Family family_;  // unspecified: not known
  // Those whose other fields are there and in range, each with what tells that it does not hold.
  std::vector<std::pair<Condition, void (ModelValidator::*)()>> ties_;
  bool dim_ok_ = false, blocks_ok_ = false, heads_ok_ = false;
  bool complete_ = true;  // every number that the layout needs is there and in range
};

}  // namespace

bool ValidateModel(JobDraft* draft) { return ModelValidator(draft).Validate(); }

}  // namespace carousel
