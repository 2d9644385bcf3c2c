// A job that trains in milliseconds and has everything: both kinds of blocks, three chunks a
// sequence, documents that end inside chunks, four micro-batches.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cluster/job/job_file.h"

namespace carousel {

inline JobSpec SmallJob(const std::vector<Override>& overrides = {}) {
  constexpr char kText[] = R"(
name: small
model:
  family: xlstm
  vocab_size: 264
  dim: 32
  num_blocks: 2
  slstm_at: [1]
data:
  synthetic:
    tokens: 20k
    mean_document_length: 20
  sequence_length: 48
  batch_size: 8
learning_rate:
  peak: 1e-3
steps: 3
numerics:
  micro_batch_size: 2
  chunk_length: 16
)";
  const absl::StatusOr<JobSpec> job = ResolveJob(ParseJob(kText, "small job", overrides));
  EXPECT_TRUE(job.ok()) << job.status();
  return *job;
}

}  // namespace carousel
