// A store that fails when a test wants it to.
#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "cluster/status_macros.h"
#include "cluster/store.h"

namespace carousel {

// A store whose disk gives way: from some commit on every one fails. The first to fail may be there
// all the same, as a write is whose acknowledgement is lost.
class FailingStore : public Store {
 public:
  explicit FailingStore(Store* store) : store_(store) {}

  // `failures`: after so many it works again, as a disk does where space was made.
  void FailAfter(int commits, bool last_lands, int failures = std::numeric_limits<int>::max()) {
    left_ = commits;
    failures_ = failures;
    last_lands_ = last_lands;
  }
  void Repair() { left_ = -1; }
  void FailReads(bool fail) { fail_reads_ = fail; }

  std::string Name() const override { return "store"; }
  absl::StatusOr<std::string> Get(std::string_view key) const override { return store_->Get(key); }
  absl::Status Commit(const StoreBatch& batch) override {
    if (left_ < 0) return store_->Commit(batch);
    if (left_ > 0) {
      --left_;
      return store_->Commit(batch);
    }
    if (--failures_ == 0) Repair();
    if (std::exchange(last_lands_, false)) CAROUSEL_RETURN_IF_ERROR(store_->Commit(batch));
    return absl::ResourceExhaustedError("no space left on device");
  }
  absl::Status Scan(
      std::string_view prefix,
      const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    if (fail_reads_) return absl::InternalError("the disk does not answer");
    return store_->Scan(prefix, visit);
  }
  absl::StatusOr<std::unique_ptr<Ingest>> NewIngest(uint64_t bytes) override {
    return store_->NewIngest(bytes);
  }
  absl::Status RemovePrefix(std::string_view prefix) override {
    return store_->RemovePrefix(prefix);
  }

 private:
  Store* const store_;
  int left_ = -1;     // commits that still succeed; -1: all
  int failures_ = 0;  // that are still to come after them
  bool last_lands_ = false;
  bool fail_reads_ = false;
};

}  // namespace carousel
