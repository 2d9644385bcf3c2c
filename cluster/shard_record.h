// ShardRecord: the layout of one unit at rest and the leaves of its digest. Everything here is a
// pure function of a record, so a worker that receives chunks from another checks them with the
// same code as the one that stored them. A record may come from anywhere: CheckLayout first.
//
// A chunk holds 16 granules of one part of one tensor (4 MiB of floats), the last of a tensor less.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cluster/keys.h"
#include "cluster/state_digest.h"
#include "proto/checkpoint.pb.h"

namespace carousel {

inline ShardId IdOf(const ShardRecord& record) {
  return {record.job(), record.step(), record.unit()};
}

// Appends a tensor with weight and both moments in f32.
void AddTensor(ShardRecord& record, std::string_view name, const std::vector<int64_t>& shape);

// "job lm-7 step 120 unit 3 (blocks.2)", the beginning of every message about a shard.
std::string Describe(const ShardRecord& record);
// The same with ": tensor w_q, m, chunk 4".
std::string Describe(const ShardRecord& record, const ChunkPlace& place);

// kInvalidArgument naming the field unless the job's id is one, step and epoch are not negative,
// shapes are positive and their products fit, and parts ascend. The functions below count on it.
absl::Status CheckLayout(const ShardRecord& record);

int64_t BytesOf(const ShardRecord& record);  // of all chunks

// Every chunk of the record in key order, with its size.
struct ChunkSpan {
  ChunkPlace place;
  int64_t bytes = 0;
};
std::vector<ChunkSpan> ChunksOf(const ShardRecord& record);

// kNotFound naming what exists, if `place` is outside the layout.
absl::StatusOr<ChunkSpan> FindChunk(const ShardRecord& record, const ChunkPlace& place);

// Digests of the granules of one chunk of `record`, whose elements are as its part says.
std::vector<Digest> GranuleDigests(const ShardRecord& record, const ChunkPlace& place,
                                   std::string_view bytes);

// kDataLoss unless the record has a digest for each granule and its own follows from them.
absl::Status VerifyRecord(const ShardRecord& record);

// kDataLoss naming tensor, part, chunk and granule unless `bytes` are those that were stored. The
// record is verified.
absl::Status VerifyChunk(const ShardRecord& record, const ChunkPlace& place,
                         std::string_view bytes);

}  // namespace carousel
