#include "worker/gradient_tree.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/worker/small_job.h"
#include "tests/worker/small_stage.h"

namespace carousel {
namespace {

using kernels::Span;

std::vector<float> Noise(int64_t size, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> values(size);
  for (float& x : values)
    x = std::ldexp(static_cast<float>(random()), -40 + static_cast<int>(random() % 16));
  return values;
}

std::vector<float> Plus(const std::vector<float>& a, const std::vector<float>& b) {
  std::vector<float> sum(a.size());
  for (size_t i = 0; i < a.size(); ++i) sum[i] = a[i] + b[i];
  return sum;
}

// The definition: halves, each by itself, earlier + later.
std::vector<float> NaiveTree(const std::vector<std::vector<float>>& leaves, size_t first,
                             size_t end) {
  if (end - first == 1) return leaves[first];
  const size_t middle = (first + end) / 2;
  return Plus(NaiveTree(leaves, first, middle), NaiveTree(leaves, middle, end));
}

class GradientTreeTest : public ::testing::TestWithParam<int> {};

INSTANTIATE_TEST_SUITE_P(Leaves, GradientTreeTest, ::testing::Values(1, 2, 4, 8));

TEST_P(GradientTreeTest, IsABinaryTreeOverTheLeavesBitForBit) {
  const int leaves = GetParam();
  SmallStage small("test", SmallJob());
  absl::StatusOr<GradientTree> tree = GradientTree::Create(small.stage.get(), leaves);
  ASSERT_TRUE(tree.ok()) << tree.status();
  std::vector<std::vector<std::vector<float>>> noise;  // [unit][leaf]

  for (int leaf = 0; leaf < leaves; ++leaf) {
    tree->BeginLeaf();
    for (size_t unit = 0; unit < small.stage->parameters().size(); ++unit) {
      const Span gradients = small.stage->parameters()[unit].gradients();
      for (float x : small.Read(gradients)) ASSERT_EQ(x, 0) << "a leaf begins at zero";
      noise.resize(small.stage->parameters().size());
      noise[unit].push_back(Noise(gradients.size(), 100 * unit + leaf));
      small.Write(gradients, noise[unit].back());
    }
    tree->EndLeaf(leaf);
  }

  for (size_t unit = 0; unit < noise.size(); ++unit)
    EXPECT_EQ(small.Read(small.stage->parameters()[unit].gradients()),
              NaiveTree(noise[unit], 0, leaves));
}

TEST_P(GradientTreeTest, TheNextStepStartsAfresh) {
  const int leaves = GetParam();
  SmallStage small("cpu", SmallJob());
  absl::StatusOr<GradientTree> tree = GradientTree::Create(small.stage.get(), leaves);
  const Span gradients = small.stage->parameters()[1].gradients();

  std::vector<float> sums[2];
  for (std::vector<float>& sum : sums) {
    for (int leaf = 0; leaf < leaves; ++leaf) {
      tree->BeginLeaf();
      small.Write(gradients, Noise(gradients.size(), leaf));
      tree->EndLeaf(leaf);
    }
    sum = small.Read(gradients);
  }

  EXPECT_EQ(sums[0], sums[1]);
}

TEST(GradientTree, ATiedMatrixIsSummedApartAndAddedOnce) {
  SmallStage small("cpu", SmallJob({{"", "model.tie_embeddings", "true"}}));
  absl::StatusOr<GradientTree> tree = GradientTree::Create(small.stage.get(), 2);
  const Span embedding = small.stage->parameters().front().tensors().front().gradient;
  const Span head = small.stage->tied_gradient();
  ASSERT_EQ(head.size(), embedding.size());
  std::vector<std::vector<float>> of_embedding, of_head;

  for (int leaf = 0; leaf < 2; ++leaf) {
    tree->BeginLeaf();
    of_embedding.push_back(Noise(embedding.size(), leaf));
    of_head.push_back(Noise(head.size(), 10 + leaf));
    small.Write(embedding, of_embedding.back());
    small.Write(head, of_head.back());
    tree->EndLeaf(leaf);
  }
  tree->AddTied(head);

  EXPECT_EQ(small.Read(embedding),
            Plus(Plus(of_head[0], of_head[1]), Plus(of_embedding[0], of_embedding[1])));
}

}  // namespace
}  // namespace carousel
