// Every key at rest, one function per family, and nothing else builds keys. A key is a family byte
// and fields: a job's id ends with a zero byte (no id contains one, so job `a` never matches `ab`),
// numbers are big-endian and of fixed width, so that byte order is number order. The table with
// what lies behind each key is in cluster/README.md. The values of bytes and enums are on disk:
// never change one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace carousel {

// Which of a parameter's three arrays.
enum class Part : uint8_t {
  kWeight = 0,
  kM = 1,  // first moment
  kV = 2,  // second moment
};
inline constexpr int kParts = 3;
std::string_view PartName(Part part);  // "weight", "m", "v"

// kInvalidArgument unless `job` is [a-z0-9-]{1,63}. Every id from outside passes here first: the
// functions below take a bad one, or a negative number, for our own mistake.
absl::Status CheckJobId(std::string_view job);

// --- this store ---
std::string IdentityKey();

// --- coordinator ---
std::string JournalPrefix();
std::string JournalKey(int64_t sequence);
std::optional<int64_t> ParseJournalKey(std::string_view key);
std::string JournalSnapshotKey();
std::string CursorKey(std::string_view job);
std::string LatestKey(std::string_view job);
std::string ManifestPrefix(std::string_view job);
std::string ManifestKey(std::string_view job, int64_t step);
std::optional<int64_t> ParseManifestStep(std::string_view key);

// --- worker ---
std::string EpochPrefix();  // of all jobs
std::string EpochKey(std::string_view job);

// One unit of one job at one step.
struct ShardId {
  std::string job;
  int64_t step = 0;
  uint32_t unit = 0;
  friend bool operator==(const ShardId&, const ShardId&) = default;
};

std::string ShardRecordPrefix();  // of all jobs
std::string ShardRecordPrefix(std::string_view job);
std::string ShardRecordKey(const ShardId& shard);

// A chunk's place in its shard. `tensor` counts the unit's tensors in their order at rest.
struct ChunkPlace {
  uint32_t tensor = 0;
  Part part = Part::kWeight;
  uint32_t chunk = 0;
  friend auto operator<=>(const ChunkPlace&, const ChunkPlace&) = default;
};

// Bulk. Byte order is (job, step, unit, tensor, part, chunk) order.
std::string ChunkPrefix(const ShardId& shard);
std::string ChunkKey(const ShardId& shard, const ChunkPlace& place);

}  // namespace carousel
