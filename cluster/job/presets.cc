#include "cluster/job/presets.h"

#include <algorithm>
#include <cctype>
#include <utility>

namespace carousel {
namespace {

constexpr int64_t kPaperVocabulary = 50'304;
constexpr int64_t kByteVocabulary = 288;

ModelSpec Shape(Family family, int64_t vocabulary, int64_t dim, int64_t blocks, int64_t heads) {
  ModelSpec model;
  model.set_family(family);
  model.set_vocab_size(vocabulary);
  model.set_dim(dim);
  model.set_num_blocks(blocks);
  model.set_num_heads(heads);
  return model;
}

ModelSpec WithSlstm(ModelSpec model, const std::vector<int64_t>& positions) {
  for (int64_t position : positions) model.add_slstm_at(position);
  return model;
}

void AddPaperSizes(std::vector<Preset>* presets) {
  struct Size {
    const char* name;
    int64_t dim, blocks;
    std::vector<int64_t> slstm_at;
  };
  const std::vector<int64_t> in_48 = {3, 5, 7, 40, 42, 44};
  const std::vector<Size> sizes = {{"125M", 768, 24, {3, 20}},
                                   {"350M", 1024, 48, in_48},
                                   {"760M", 1536, 48, in_48},
                                   {"1.3B", 2048, 48, in_48},
                                   {"2.7B", 2560, 64, in_48}};
  for (const Size& size : sizes) {
    const ModelSpec model = Shape(XLSTM, kPaperVocabulary, size.dim, size.blocks, 4);
    const std::string name = std::string("xlstm-") + size.name;
    presets->push_back({name + "-1:0", "xLSTM[1:0], 2024", model});
    presets->push_back({name + "-7:1", "xLSTM[7:1], 2024", WithSlstm(model, size.slstm_at)});
  }
}

std::vector<Preset> MakePresets() {
  std::vector<Preset> presets = {
      {"xlstm-tiny", "two kinds of blocks for a laptop, 0.2 M parameters",
       WithSlstm(Shape(XLSTM, kByteVocabulary, 64, 4, 4), {1})},
      {"xlstm-small", "two kinds of blocks for a laptop, 1.5 M parameters",
       WithSlstm(Shape(XLSTM, kByteVocabulary, 192, 6, 4), {1, 4})},
  };
  AddPaperSizes(&presets);
  const auto large = [&](const char* name, const char* description, const ModelSpec& model) {
    presets.push_back({name, description, model});
  };
  large("xlstm-large-tiny", "the 7B architecture for a laptop, 0.3 M parameters",
        Shape(XLSTM_LARGE, kByteVocabulary, 64, 4, 4));
  large("xlstm-large-small", "the 7B architecture for a laptop, 1.9 M parameters",
        Shape(XLSTM_LARGE, kByteVocabulary, 192, 4, 4));
  large("xlstm-large-165M", "ablation size of xLSTM 7B, 2025",
        Shape(XLSTM_LARGE, kPaperVocabulary, 768, 12, 4));
  large("xlstm-large-400M", "ablation size of xLSTM 7B, 2025",
        Shape(XLSTM_LARGE, kPaperVocabulary, 1024, 24, 4));
  large("xlstm-large-1.4B", "ablation size of xLSTM 7B, 2025",
        Shape(XLSTM_LARGE, kPaperVocabulary, 2048, 24, 4));
  large("xlstm-7B", "xLSTM 7B, 2025", Shape(XLSTM_LARGE, kPaperVocabulary, 4096, 32, 8));
  return presets;
}

bool EqualIgnoringCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

}  // namespace

const std::vector<Preset>& Presets() {
  static const auto& presets = *new std::vector<Preset>(MakePresets());
  return presets;
}

const Preset* FindPreset(std::string_view name) {
  for (const Preset& preset : Presets()) {
    if (EqualIgnoringCase(preset.name, name)) return &preset;
  }
  return nullptr;
}

}  // namespace carousel
