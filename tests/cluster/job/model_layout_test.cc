#include "cluster/job/model_layout.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "cluster/job/job_file.h"
#include "cluster/job/resolve.h"

namespace carousel {
namespace {

ModelSpec Model(const std::string& model) {
  const auto job = ResolveJob(ParseJob("model: " + model + R"(
name: a
data: {dataset: words, sequence_length: 64, batch_size: 4}
learning_rate: {peak: 1e-3}
steps: 100
)",
                                       "job.yaml"));
  EXPECT_TRUE(job.ok()) << job.status();
  return job.value_or(JobSpec()).model();
}

ModelSpec Mixed() {
  return Model("{family: xlstm, vocab_size: 96, dim: 40, num_blocks: 3, slstm_at: [1]}");
}
ModelSpec Large() { return Model("{family: xlstm_large, vocab_size: 96, dim: 48, num_blocks: 2}"); }

// "name [shape]" and, for what decays, "nxai" and "kernel".
std::vector<std::string> Lines(const UnitLayout& unit) {
  std::vector<std::string> lines;
  for (const TensorLayout& tensor : unit.tensors) {
    std::string line = tensor.name + " [";
    for (size_t i = 0; i < tensor.shape.size(); ++i) {
      line += (i > 0 ? "," : "") + std::to_string(tensor.shape[i]);
    }
    line += "]";
    if (tensor.Decays(NXAI)) line += " nxai";
    if (tensor.Decays(KERNEL_ONLY)) line += " kernel";
    lines.push_back(line);
  }
  return lines;
}

using Strings = std::vector<std::string>;

TEST(ModelLayoutTest, UnitsAreTheEmbeddingTheBlocksAndTheHead) {
  const ModelLayout layout = LayOut(Mixed());
  ASSERT_EQ(layout.units.size(), 5u);
  EXPECT_EQ(layout.units[0].kind, UnitKind::kEmbedding);
  EXPECT_EQ(layout.units[1].kind, UnitKind::kMlstmBlock);
  EXPECT_EQ(layout.units[2].kind, UnitKind::kSlstmBlock);
  EXPECT_EQ(layout.units[2].block, 1);
  EXPECT_EQ(layout.units[4].kind, UnitKind::kHead);
}

TEST(ModelLayoutTest, AnMlstmBlockHasTheReleasedNamesAndShapes) {
  const std::string p = "xlstm_block_stack.blocks.0.";
  EXPECT_EQ(
      Lines(LayOut(Mixed()).units[1]),
      (Strings{p + "xlstm_norm.weight [40]", p + "xlstm.proj_up.weight [256,40] nxai kernel",
               p + "xlstm.q_proj.weight [32,4,4] nxai kernel",
               p + "xlstm.k_proj.weight [32,4,4] nxai kernel",
               p + "xlstm.v_proj.weight [32,4,4] nxai kernel",
               p + "xlstm.conv1d.conv.weight [128,1,4] nxai", p + "xlstm.conv1d.conv.bias [128]",
               p + "xlstm.mlstm_cell.igate.weight [4,384] nxai kernel",
               p + "xlstm.mlstm_cell.igate.bias [4]",
               p + "xlstm.mlstm_cell.fgate.weight [4,384] nxai kernel",
               p + "xlstm.mlstm_cell.fgate.bias [4]", p + "xlstm.mlstm_cell.outnorm.weight [128]",
               p + "xlstm.learnable_skip [128]",
               p + "xlstm.proj_down.weight [40,128] nxai kernel"}));
}

TEST(ModelLayoutTest, AnSlstmBlockKeepsItsRecurrentKernelInTheExternalLayout) {
  const std::string p = "xlstm_block_stack.blocks.1.";
  EXPECT_EQ(
      Lines(LayOut(Mixed()).units[2]),
      (Strings{p + "xlstm_norm.weight [40]", p + "xlstm.conv1d.conv.weight [40,1,4] nxai",
               p + "xlstm.conv1d.conv.bias [40]", p + "xlstm.fgate.weight [4,10,10] nxai kernel",
               p + "xlstm.igate.weight [4,10,10] nxai kernel",
               p + "xlstm.zgate.weight [4,10,10] nxai kernel",
               p + "xlstm.ogate.weight [4,10,10] nxai kernel",
               p + "xlstm.slstm_cell._recurrent_kernel_ [4,10,4,10]",
               p + "xlstm.slstm_cell._bias_ [4,4,10]", p + "xlstm.group_norm.weight [40]",
               p + "ffn_norm.weight [40]", p + "ffn.proj_up.weight [128,40] nxai kernel",
               p + "ffn.proj_down.weight [40,64] nxai kernel"}));
}

TEST(ModelLayoutTest, ABlockOfXlstmLargeHasTheReleasedNamesAndShapes) {
  const std::string p = "backbone.blocks.1.";
  EXPECT_EQ(Lines(LayOut(Large()).units[2]),
            (Strings{p + "norm_mlstm.weight [48]", p + "mlstm_layer.q.weight [24,48] nxai kernel",
                     p + "mlstm_layer.k.weight [24,48] nxai kernel",
                     p + "mlstm_layer.v.weight [48,48] nxai kernel",
                     p + "mlstm_layer.ogate_preact.weight [48,48] nxai kernel",
                     p + "mlstm_layer.igate_preact.weight [4,48] nxai kernel",
                     p + "mlstm_layer.igate_preact.bias [4]",
                     p + "mlstm_layer.fgate_preact.weight [4,48] nxai kernel",
                     p + "mlstm_layer.fgate_preact.bias [4]",
                     p + "mlstm_layer.multihead_norm.weight [48]",
                     p + "mlstm_layer.out_proj.weight [48,48] nxai kernel",
                     p + "norm_ffn.weight [48]", p + "ffn.proj_up_gate.weight [128,48] nxai kernel",
                     p + "ffn.proj_up.weight [128,48] nxai kernel",
                     p + "ffn.proj_down.weight [48,128] nxai kernel"}));
}

TEST(ModelLayoutTest, TheEndsOfBothFamiliesDiffer) {
  const ModelLayout mixed = LayOut(Mixed()), large = LayOut(Large());
  EXPECT_EQ(Lines(mixed.units.front()), Strings{"token_embedding.weight [96,40]"});
  EXPECT_EQ(Lines(mixed.units.back()), (Strings{"xlstm_block_stack.post_blocks_norm.weight [40]",
                                                "lm_head.weight [96,40] nxai kernel"}));
  EXPECT_EQ(Lines(large.units.front()), Strings{"backbone.embeddings.weight [96,48]"});
  EXPECT_EQ(Lines(large.units.back()),
            (Strings{"backbone.out_norm.weight [48]", "lm_head.weight [96,48] nxai kernel"}));
}

TEST(ModelLayoutTest, ATiedHeadOwnsNoMatrix) {
  ModelSpec model = Mixed();
  const int64_t untied = LayOut(model).Elements();
  model.set_tie_embeddings(true);
  const ModelLayout tied = LayOut(model);
  EXPECT_TRUE(tied.tied_head);
  EXPECT_EQ(tied.units.back().tensors.size(), 1u);
  EXPECT_EQ(tied.Elements(), untied - 96 * 40);
}

TEST(ModelLayoutTest, TensorsAreNumberedThroughTheModelAndNamedOnce) {
  std::set<std::string> names;
  int index = 0;
  for (const UnitLayout& unit : LayOut(Mixed()).units) {
    for (const TensorLayout& tensor : unit.tensors) {
      EXPECT_EQ(tensor.index, index++);
      EXPECT_TRUE(names.insert(tensor.name).second) << tensor.name;
    }
  }
}

const TensorLayout& Tensor(const ModelLayout& layout, const std::string& suffix, int unit) {
  for (const TensorLayout& tensor : layout.units[unit].tensors) {
    if (tensor.name.ends_with(suffix)) return tensor;
  }
  ADD_FAILURE() << "no tensor " << suffix;
  return layout.units[0].tensors[0];
}

TEST(ModelLayoutTest, InitialValuesAreThePapers) {
  using Kind = Initializer::Kind;
  const ModelLayout layout = LayOut(Mixed());
  EXPECT_EQ(layout.units[0].tensors[0].init.kind, Kind::kNormal);
  EXPECT_DOUBLE_EQ(layout.units[0].tensors[0].init.a, std::sqrt(2.0 / (5 * 40)));
  EXPECT_DOUBLE_EQ(Tensor(layout, "proj_down.weight", 1).init.a, 2 / (3 * std::sqrt(40.0)));
  EXPECT_EQ(Tensor(layout, "conv.bias", 1).init.kind, Kind::kUniform);
  EXPECT_EQ(Tensor(layout, "fgate.bias", 1).init.kind, Kind::kLinspace);
  EXPECT_EQ(Tensor(layout, "learnable_skip", 1).init.a, 1);
  EXPECT_EQ(Tensor(layout, "xlstm_norm.weight", 1).init.a, 0);

  // The bias of the middle of three blocks: exponent 0.3 + 1.3 / 2.
  const Initializer bias = Tensor(layout, "_bias_", 2).init;
  EXPECT_EQ(bias.kind, Kind::kSlstmBias);
  EXPECT_EQ(bias.a, -5);
  EXPECT_EQ(bias.b, 7);
  EXPECT_DOUBLE_EQ(bias.exponent, 0.95);

  const ModelLayout large = LayOut(Large());
  EXPECT_EQ(Tensor(large, "igate_preact.bias", 1).init.a, -10);
  EXPECT_EQ(Tensor(large, "norm_mlstm.weight", 1).init.a, 1);
}

TEST(ModelLayoutTest, GranulesAndChunksRoundUp) {
  TensorLayout tensor;
  tensor.shape = {65'536};
  EXPECT_EQ(tensor.Granules(), 1);
  tensor.shape = {65'537};
  EXPECT_EQ(tensor.Granules(), 2);
  EXPECT_EQ(tensor.Chunks(), 1);
  tensor.shape = {17, 65'536};
  EXPECT_EQ(tensor.Granules(), 17);
  EXPECT_EQ(tensor.Chunks(), 2);
  EXPECT_EQ(tensor.Bytes(), 4 * 17 * 65'536);
}

TEST(ModelLayoutTest, WidthsAreRoundedAsTheReleasedCodeRoundsThem) {
  // 2.667 * 768 = 2048.256: the newer code drops the fraction first.
  EXPECT_EQ(WidthsOf(Model("{family: xlstm_large, vocab_size: 96, dim: 768, num_blocks: 1}")).ffn,
            2048);
  EXPECT_EQ(WidthsOf(Model("{family: xlstm_large, vocab_size: 96, dim: 4096, num_blocks: 1, "
                           "num_heads: 8}"))
                .ffn,
            10'944);
  EXPECT_EQ(WidthsOf(Model("{family: xlstm, vocab_size: 96, dim: 2560, num_blocks: 1}")).ffn, 3328);
}

}  // namespace
}  // namespace carousel
