#include "cluster/keys.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "cluster/check.h"
#include "cluster/store.h"

namespace carousel {
namespace {

constexpr size_t kMaxJobId = 63;

constexpr char kIdentity = 'I';
constexpr char kJournal = 'J';
constexpr char kJournalSnapshot = 'S';
constexpr char kCursor = 'U';
constexpr char kLatest = 'L';
constexpr char kManifest = 'M';
constexpr char kEpoch = 'E';
constexpr char kShardRecord = 'P';
constexpr char kChunk = kBulkFamily;

template <class Unsigned>
void AppendNumber(std::string& key, Unsigned number) {
  for (int shift = 8 * (sizeof(Unsigned) - 1); shift >= 0; shift -= 8) {
    key.push_back(static_cast<char>(number >> shift));
  }
}

void AppendCount(std::string& key, int64_t number) {
  CAROUSEL_CHECK(number >= 0);
  AppendNumber(key, static_cast<uint64_t>(number));
}

// The last eight bytes of `key`, which are a count.
int64_t LastCount(std::string_view key) {
  uint64_t number = 0;
  for (char byte : key.substr(key.size() - 8)) number = number << 8 | static_cast<uint8_t>(byte);
  return static_cast<int64_t>(number);
}

std::string OfFamily(char family) { return std::string(1, family); }

std::string OfJob(char family, std::string_view job) {
  CAROUSEL_CHECK(CheckJobId(job).ok());
  std::string key(1, family);
  key.append(job);
  key.push_back('\0');
  return key;
}

std::string OfShard(char family, const ShardId& shard) {
  std::string key = OfJob(family, shard.job);
  AppendCount(key, shard.step);
  AppendNumber(key, shard.unit);
  return key;
}

}  // namespace

std::string_view PartName(Part part) {
  switch (part) {
    case Part::kWeight:
      return "weight";
    case Part::kM:
      return "m";
    case Part::kV:
      return "v";
  }
  return "unknown part";
}

absl::Status CheckJobId(std::string_view job) {
  auto allowed = [](char c) {
    return ('a' <= c && c <= 'z') || ('0' <= c && c <= '9') || c == '-';
  };
  bool good = !job.empty() && job.size() <= kMaxJobId;
  for (char c : job) good = good && allowed(c);
  if (good) return absl::OkStatus();
  absl::string_view shown(job.data(), std::min<size_t>(job.size(), 80));
  return absl::InvalidArgumentError(absl::StrCat(
      "\"", absl::CHexEscape(shown), "\" is no job id: 1 to ", kMaxJobId, " of a-z, 0-9 and -"));
}

std::string IdentityKey() { return OfFamily(kIdentity); }

std::string JournalPrefix() { return OfFamily(kJournal); }

std::string JournalKey(int64_t sequence) {
  std::string key = JournalPrefix();
  AppendCount(key, sequence);
  return key;
}

std::optional<int64_t> ParseJournalKey(std::string_view key) {
  if (key.size() != 1 + 8 || key[0] != kJournal) return std::nullopt;
  return LastCount(key);
}

std::string JournalSnapshotKey() { return OfFamily(kJournalSnapshot); }

std::string CursorKey(std::string_view job) { return OfJob(kCursor, job); }
std::string LatestKey(std::string_view job) { return OfJob(kLatest, job); }
std::string ManifestPrefix(std::string_view job) { return OfJob(kManifest, job); }

std::string ManifestKey(std::string_view job, int64_t step) {
  std::string key = ManifestPrefix(job);
  AppendCount(key, step);
  return key;
}

std::optional<int64_t> ParseManifestStep(std::string_view key) {
  const size_t end = key.find('\0');
  if (key.empty() || key[0] != kManifest || end == std::string_view::npos) return std::nullopt;
  if (key.size() != end + 1 + 8) return std::nullopt;
  return LastCount(key);
}

std::string EpochPrefix() { return OfFamily(kEpoch); }
std::string EpochKey(std::string_view job) { return OfJob(kEpoch, job); }

std::string ShardRecordPrefix() { return OfFamily(kShardRecord); }
std::string ShardRecordPrefix(std::string_view job) { return OfJob(kShardRecord, job); }
std::string ShardRecordKey(const ShardId& shard) { return OfShard(kShardRecord, shard); }

std::string ChunkPrefix(const ShardId& shard) { return OfShard(kChunk, shard); }

std::string ChunkKey(const ShardId& shard, const ChunkPlace& place) {
  std::string key = ChunkPrefix(shard);
  AppendNumber(key, place.tensor);
  AppendNumber(key, static_cast<uint8_t>(place.part));
  AppendNumber(key, place.chunk);
  return key;
}

}  // namespace carousel
