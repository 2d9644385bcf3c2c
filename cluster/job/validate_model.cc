#include <cmath>
#include <string>

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

class ModelValidator {
 public:
  explicit ModelValidator(JobDraft* draft)
      : model_(draft->job.model()), checks_(draft), faults_(&draft->faults) {}

  bool Validate() {
    // A preset that is still there was refused, and with it what the model's shape would be.
    if (model_.has_preset()) return false;
    const size_t before = faults_->size();
    CheckShape();
    if (model_.family() != XLSTM && model_.family() != XLSTM_LARGE) {
      checks_.Missing("model.family",
                      "write xlstm or xlstm_large, or name a preset such as xlstm-125M-7:1");
      return false;
    }
    if (model_.family() == XLSTM) {
      RefuseFieldsOfLarge();
      CheckXlstm();
    } else {
      RefuseFieldsOfXlstm();
      CheckLarge();
    }
    if (faults_->size() == before && complete_) CheckSize();
    return faults_->size() == before && complete_;
  }

 private:
  void CheckShape() {
    Integer("vocab_size", model_.has_vocab_size(), model_.vocab_size(), 2, kMaxVocabulary);
    Integer("dim", model_.has_dim(), model_.dim(), 1, kMaxDim);
    Integer("num_blocks", model_.has_num_blocks(), model_.num_blocks(), 1, kMaxBlocks);
    Integer("num_heads", model_.has_num_heads(), model_.num_heads(), 1, kMaxHeads);
  }

  void CheckXlstm() {
    Integer("slstm_num_heads", true, model_.slstm_num_heads(), 1, kMaxHeads);
    Above("slstm_ffn_factor", model_.slstm_ffn_factor());
    Above("mlstm_proj_factor", model_.mlstm_proj_factor());
    CheckPositions();
    if (!complete_) return;
    const int64_t inner = WidthsOf(model_).mlstm_inner;
    if (inner % model_.num_heads() != 0) {
      checks_.Add("model.num_heads", std::to_string(model_.num_heads()) +
                                         " does not divide the blocks' inner width, " +
                                         std::to_string(inner) +
                                         " (mlstm_proj_factor * dim, rounded up to 64)");
    }
    if (model_.slstm_at_size() == 0) return;
    const int64_t heads = model_.slstm_num_heads();
    if (model_.dim() % heads != 0) {
      checks_.Add("model.slstm_num_heads", std::to_string(heads) + " does not divide model.dim, " +
                                               std::to_string(model_.dim()));
    } else if (model_.dim() / heads < 2) {
      checks_.Add("model.slstm_num_heads",
                  std::to_string(heads) + " leaves a head of one unit; at least 2 are needed",
                  "at most " + std::to_string(model_.dim() / 2) + " heads");
    }
  }

  void CheckPositions() {
    if (model_.slstm_at_size() > kMaxBlocks) {
      checks_.Add("model.slstm_at", std::to_string(model_.slstm_at_size()) +
                                        " positions are above the limit of " +
                                        WithCommas(kMaxBlocks));
      complete_ = false;
      return;
    }
    for (int i = 0; i < model_.slstm_at_size(); ++i) {
      const int64_t position = model_.slstm_at(i);
      const std::string path = "model.slstm_at[" + std::to_string(i) + "]";
      if (position < 0 || (complete_ && position >= model_.num_blocks())) {
        checks_.Add(path,
                    std::to_string(position) + " is no block: they are numbered 0 to " +
                        std::to_string(model_.num_blocks() - 1),
                    "if the positions are a preset's, give model.slstm_at too");
        complete_ = false;
      } else if (i > 0 && position <= model_.slstm_at(i - 1)) {
        checks_.Add(path,
                    std::to_string(position) + " does not come after " +
                        std::to_string(model_.slstm_at(i - 1)),
                    "list each position once, ascending");
      }
    }
  }

  void CheckLarge() {
    Above("qk_dim_factor", model_.qk_dim_factor());
    Above("ffn_factor", model_.ffn_factor());
    Above("gate_soft_cap", model_.gate_soft_cap(), 1e4);
    Above("output_logit_soft_cap", model_.output_logit_soft_cap(), 1e4);
    checks_.Number("model.igate_bias_init", true, model_.igate_bias_init(), -100, 100);
    if (!complete_) return;
    const int64_t dim = model_.dim(), heads = model_.num_heads();
    if (dim % heads != 0) {
      checks_.Add("model.num_heads",
                  std::to_string(heads) + " does not divide model.dim, " + std::to_string(dim));
    }
    const double qk = model_.qk_dim_factor() * static_cast<double>(dim);
    if (qk != std::floor(qk) || static_cast<int64_t>(qk) % heads != 0) {
      checks_.Add("model.qk_dim_factor",
                  NumberText(model_.qk_dim_factor()) + " times model.dim is " + NumberText(qk) +
                      ", no multiple of the " + std::to_string(heads) + " heads");
    }
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
      checks_.Add("model", WithCommas(parameters) + " parameters are above the limit of " +
                               WithCommas(kMaxParameters));
    }
  }

  void Integer(const std::string& field, bool is_set, int64_t value, int64_t least, int64_t most) {
    complete_ &= checks_.Integer("model." + field, is_set, value, least, most);
  }

  void Above(const std::string& field, double value, double most = kMaxFactor) {
    complete_ &= checks_.Above("model." + field, true, value, 0, most);
  }

  const ModelSpec& model_;
  FieldChecks checks_;
  const Faults* const faults_;
  bool complete_ = true;  // every number that other checks divide by is there and in range
};

}  // namespace

bool ValidateModel(JobDraft* draft) { return ModelValidator(draft).Validate(); }

}  // namespace carousel
