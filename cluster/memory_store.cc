#include <map>

#include "absl/strings/str_cat.h"
#include "cluster/mutex.h"
#include "cluster/status_macros.h"
#include "cluster/store.h"

namespace carousel {
namespace {

class MemoryStore : public Store {
 public:
  std::string Name() const override { return "memory"; }

  absl::StatusOr<std::string> Get(std::string_view key) const override {
    MutexLock lock(&mutex_);
    auto found = entries_.find(key);
    if (found == entries_.end()) return absl::NotFoundError("no such key in memory");
    return found->second;
  }

  absl::Status Commit(const StoreBatch& batch) override {
    CAROUSEL_RETURN_IF_ERROR(CheckRecordKeys(batch));
    MutexLock lock(&mutex_);
    for (const StoreBatch::Change& change : batch.changes) {
      if (change.remove) {
        entries_.erase(change.key);
      } else {
        entries_[change.key] = change.value;
      }
    }
    return absl::OkStatus();
  }

  absl::Status Scan(std::string_view prefix,
                    const std::function<bool(std::string_view key, std::string_view value)>& visit)
      const override {
    MutexLock lock(&mutex_);
    for (auto at = entries_.lower_bound(prefix);
         at != entries_.end() && at->first.starts_with(prefix); ++at) {
      if (!visit(at->first, at->second)) break;
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<Ingest>> NewIngest(uint64_t expected_bytes) override {
    return std::make_unique<MemoryIngest>(this);
  }

  absl::Status RemovePrefix(std::string_view prefix) override {
    if (prefix.empty()) return absl::InvalidArgumentError("memory: an empty prefix names all keys");
    MutexLock lock(&mutex_);
    auto first = entries_.lower_bound(prefix);
    auto last = first;
    while (last != entries_.end() && last->first.starts_with(prefix)) ++last;
    entries_.erase(first, last);
    return absl::OkStatus();
  }

 private:
  using Entries = std::map<std::string, std::string, std::less<>>;

  class MemoryIngest : public Ingest {
   public:
    explicit MemoryIngest(MemoryStore* store) : store_(store) {}

    absl::Status Add(std::string_view key, std::string_view value) override {
      CAROUSEL_RETURN_IF_ERROR(CheckBulkKey(key, last_key_));
      last_key_ = key;
      staged_.emplace(key, value);
      return absl::OkStatus();
    }

    absl::Status Finish() override {
      MutexLock lock(&store_->mutex_);
      for (auto& [key, value] : staged_) store_->entries_.insert_or_assign(key, std::move(value));
      staged_.clear();
      return absl::OkStatus();
    }

   private:
    MemoryStore* const store_;
    std::string last_key_;
    Entries staged_;
  };

  mutable Mutex mutex_;
  Entries entries_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::unique_ptr<Store> NewMemoryStore() { return std::make_unique<MemoryStore>(); }

}  // namespace carousel
