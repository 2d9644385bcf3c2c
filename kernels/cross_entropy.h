// Soft-capped cross-entropy over the vocabulary, a the cap:
//
//   z_j     = a tanh(logit_j / a), or logit_j for a = 0: no cap
//   loss[r] = log sum_j exp(z_j) - z_label
//
// The maximum and the sum of exponentials run over blocks of kSoftmaxBlock logits: inside a block
// 32 virtual lanes folded by a fixed tree, blocks in ascending order with the running maximum
// rescaled (an online softmax; Milakov & Gimelshein 2018). Part of the contract. Rows with label -1
// have loss 0 and gradient 0. Backward differentiates the SUM of losses; 1/N is applied with the
// clip factor later.
#pragma once

#include "kernels/span.h"

namespace carousel::kernels {

inline constexpr int64_t kSoftmaxBlock = 512;

struct CrossEntropyForward {
  Span logits;  // [rows, V]
  Span labels;  // i32 [rows], -1: ignored
  Span loss;    // [rows]
  Span stats;   // [rows, 2] maximum and sum, kept for backward
  int64_t rows = 0, vocab = 0;
  double cap = 0;
};

// dlogits = (softmax(z) - onehot(label)) * (1 - (z / a)^2)
struct CrossEntropyBackward {
  Span logits, labels, stats;
  Span dlogits;  // [rows, V]; may be logits
  int64_t rows = 0, vocab = 0;
  double cap = 0;
};

}  // namespace carousel::kernels
