// Store: one of the four doors to the world. Ordered byte keys to byte values, with an atomic
// synced batch and bulk ingest of prepared files. RocksDB and memory stand behind it; a RocksDB
// store belongs to one process at a time.
//
// Two kinds of keys, told apart by their first byte, because RocksDB wants them apart:
//   records  every first byte below kBulkFamily; small; written by Commit through a synced log;
//   bulk     first byte kBulkFamily; values of megabytes; written by Ingest only, past the log,
//            never rewritten (no compaction, no compression).
// cluster/keys.h builds every key that Carousel uses.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace carousel {

// The greatest first byte of a key: bulk follows all records in the order of keys.
inline constexpr char kBulkFamily = '~';

// A list of puts and removals of records that becomes durable as one: after a crash either all of
// it is there or nothing. Of two changes of one key the later holds.
struct StoreBatch {
  struct Change {
    std::string key;
    std::string value;
    bool remove = false;
  };
  std::vector<Change> changes;

  // Moves the batch out of the log into a checksummed file at once. The log is the one part of a
  // store whose loss as a whole (a deleted file) goes unnoticed, so what is rare and precious, a
  // manifest or an identity, asks for it; it costs a few more syncs.
  bool seal = false;

  void Put(std::string key, std::string value) {
    changes.push_back({std::move(key), std::move(value), false});
  }
  void Remove(std::string key) { changes.push_back({std::move(key), {}, true}); }
};

// Thread-safe. Messages of errors name the folder.
//   kResourceExhausted  the disk is full. Reads go on; the first write after there is space again
//                       brings the store back by itself.
//   kDataLoss           stored bytes fail their checksum.
//   kUnavailable        the folder is in use by another process.
//   kInvalidArgument    a key of the wrong kind, or bulk keys out of order.
class Store {
 public:
  virtual ~Store() = default;

  // What to call this store in a message: its folder.
  virtual std::string Name() const = 0;

  // kNotFound if the key is absent.
  virtual absl::StatusOr<std::string> Get(std::string_view key) const = 0;

  // Durable (fdatasync) when it returns OK. After an error the batch is not acknowledged: it is
  // there as a whole or not at all, and only a read can tell.
  virtual absl::Status Commit(const StoreBatch& batch) = 0;

  // Calls `visit` for every key with the prefix, in byte order, until it returns false. The views
  // live during the call; `visit` must not call the store.
  virtual absl::Status Scan(
      std::string_view prefix,
      const std::function<bool(std::string_view key, std::string_view value)>& visit) const = 0;

  // Writes (bulk key, value) pairs in strictly ascending key order into a file beside the store and
  // adds it as one: nothing of it is visible before Finish returns OK, and then it is durable.
  // Must not outlive its store; one thread at a time. Without Finish what was written is dropped.
  class Ingest {
   public:
    virtual ~Ingest() = default;
    virtual absl::Status Add(std::string_view key, std::string_view value) = 0;
    virtual absl::Status Finish() = 0;
  };

  // `expected_bytes`: about how much will be added. kResourceExhausted now, before anything is
  // written, if the disk has not that much and a reserve for the records of the commit.
  virtual absl::StatusOr<std::unique_ptr<Ingest>> NewIngest(uint64_t expected_bytes) = 0;

  // Removes every key with the prefix (not empty) and gives the space of whole ingested files back
  // at once. Not atomic: a crash in between leaves some of the keys, and a second call the rest.
  virtual absl::Status RemovePrefix(std::string_view prefix) = 0;
};

// Creates or opens the RocksDB store under `folder`, in two subfolders of mode 0700 (the folder
// itself is made with that mode if it is missing). Files that an interrupted Ingest left are
// removed.
absl::StatusOr<std::unique_ptr<Store>> OpenRocksDbStore(const std::string& folder);

// The same contract in memory, for tests and the simulation.
std::unique_ptr<Store> NewMemoryStore();

// What both stores ask of keys; kInvalidArgument otherwise.
absl::Status CheckRecordKeys(const StoreBatch& batch);
absl::Status CheckBulkKey(std::string_view key, std::string_view previous);

// The least key that is greater than every key with the prefix; empty if there is none.
std::string PrefixEnd(std::string_view prefix);

}  // namespace carousel
