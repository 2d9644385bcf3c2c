// A job file that nothing is wrong with, for tests that damage it.
#pragma once

namespace carousel {

inline constexpr const char* kAcceptedJob = R"(name: base
model:
  family: xlstm
  vocab_size: 300
  dim: 32
  num_blocks: 4
  num_heads: 4
  slstm_at: [1, 3]
  slstm_num_heads: 4
data:
  synthetic: {tokens: 10k, mean_document_length: 50}
  sequence_length: 200
  batch_size: 12
optimizer: {weight_decay: 0.1}
learning_rate:
  peak: 1e-3
  warmup_steps: 10
steps: 100
numerics:
  micro_batch_size: 3
  chunk_length: 64
pipeline: {stages: 2, segments: 2}
checkpoint: {keep: 3}
)";

}  // namespace carousel
