// Store: one of the four doors to the world. Ordered byte keys to byte values, with an atomic
// synced batch and bulk ingest of prepared files. RocksDB and memory stand behind it; a RocksDB
// store belongs to one process at a time (its LOCK file).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace carousel {

// A list of puts and removals that becomes durable as one: after a crash either all of it is there
// or nothing.
struct StoreBatch {
  struct Change {
    std::string key;
    std::string value;
    bool remove = false;
  };
  std::vector<Change> changes;

  void Put(std::string key, std::string value) {
    changes.push_back({std::move(key), std::move(value), false});
  }
  void Remove(std::string key) { changes.push_back({std::move(key), {}, true}); }
};

// Thread-safe. Errors: kResourceExhausted when the disk is full, kDataLoss when stored bytes fail
// their checksum, kUnavailable when the folder is in use by another process; messages name the
// folder.
class Store {
 public:
  virtual ~Store() = default;

  // kNotFound if the key is absent.
  virtual absl::StatusOr<std::string> Get(std::string_view key) const = 0;

  // Durable (fdatasync) when it returns OK.
  virtual absl::Status Commit(const StoreBatch& batch) = 0;

  // Calls `visit` for every key with the prefix, in byte order, until it returns false.
  virtual absl::Status Scan(
      std::string_view prefix,
      const std::function<bool(std::string_view key, std::string_view value)>& visit) const = 0;

  // Writes (key, value) pairs in strictly ascending key order into a file beside the store and adds
  // it at once: nothing of it is visible before Finish returns OK, and then it is durable. For
  // values of about a megabyte that a journal would write twice.
  class Ingest {
   public:
    virtual ~Ingest() = default;  // without Finish: what was written is dropped
    virtual absl::Status Add(std::string_view key, std::string_view value) = 0;
    virtual absl::Status Finish() = 0;
  };
  virtual absl::StatusOr<std::unique_ptr<Ingest>> NewIngest() = 0;

  // Removes every key with the prefix and gives its space back where whole files allow it.
  virtual absl::Status RemovePrefix(std::string_view prefix) = 0;
};

// Creates or opens the RocksDB store in `folder` (made with mode 0700).
absl::StatusOr<std::unique_ptr<Store>> OpenRocksDbStore(const std::string& folder);

// The same contract in memory, for tests and the simulation.
std::unique_ptr<Store> NewMemoryStore();

}  // namespace carousel
