// GradientTree: the sums of one step's gradients in G leaves and a binary tree over them (the
// numerics contract).
//
// Inside a leaf, gradients are chains over all its rows. Leaves are combined pairwise, the earlier
// one first, so that a replica which holds an aligned run of leaves computes exactly a subtree. G =
// 1 costs nothing; a stage that holds G leaves keeps log2(G) + 1 buffers.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "kernels/backend.h"
#include "worker/stage.h"

namespace carousel {

// Sums into the accumulators of the stage's parameters. Not thread-safe; borrows the stage.
class GradientTree {
 public:
  // `leaves` is a power of two.
  static absl::StatusOr<GradientTree> Create(Stage* stage, int leaves);

  // Before the first backward of a leaf; leaves in ascending order.
  void BeginLeaf();
  // After its last. After the last leaf the parameters' gradients are the step's.
  void EndLeaf(int leaf);

  // Adds the tied head's gradient to the embedding's (head + embedding), where both are here;
  // `head` is [V, D].
  void AddTied(kernels::Span head);

 private:
  std::vector<kernels::Span> Accumulators() const;

  Stage* stage_ = nullptr;
  int leaves_ = 1;
  // [log2(G)][accumulator]: a finished subtree that waits for its right sibling.
  std::vector<std::vector<kernels::Buffer>> level_;
};

}  // namespace carousel
