#include "coordinator/journal.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "cluster/keys.h"
#include "cluster/status_macros.h"
#include "coordinator/state.h"

namespace carousel {
namespace {

constexpr uint32_t kFormatVersion = 1;

absl::StatusOr<JournalSnapshot> ReadSnapshot(const Store& store) {
  absl::StatusOr<std::string> bytes = store.Get(JournalSnapshotKey());
  JournalSnapshot snapshot;
  if (absl::IsNotFound(bytes.status())) return snapshot;
  CAROUSEL_RETURN_IF_ERROR(bytes.status());
  if (!snapshot.ParseFromString(*bytes)) {
    return absl::DataLossError("the journal's snapshot cannot be read");
  }
  if (snapshot.format_version() > kFormatVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("the journal has format ", snapshot.format_version(),
                     "; this build reads up to ", kFormatVersion, ": use the newer build"));
  }
  return snapshot;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Journal>> Journal::Open(Store* store, CoordinatorState* state) {
  CAROUSEL_ASSIGN_OR_RETURN(JournalSnapshot snapshot, ReadSnapshot(*store));
  *state = std::move(*snapshot.mutable_state());
  int64_t next = snapshot.next_sequence();
  absl::Status replayed;
  CAROUSEL_RETURN_IF_ERROR(
      store->Scan(JournalPrefix(), [&](std::string_view key, std::string_view value) {
        Event event;
        if (ParseJournalKey(key) != next) {
          replayed = absl::DataLossError(absl::StrCat("the journal has no event ", next));
        } else if (!event.ParseFromArray(value.data(), static_cast<int>(value.size())) ||
                   event.kind_case() == Event::KIND_NOT_SET) {
          replayed = absl::DataLossError(
              absl::StrCat("event ", next, " of the journal cannot be read by this build"));
        } else {
          Apply(event, state);
          ++next;
        }
        return replayed.ok();
      }));
  CAROUSEL_RETURN_IF_ERROR(replayed);
  return std::unique_ptr<Journal>(new Journal(store, snapshot.next_sequence(), next));
}

StoreBatch Journal::Entry(const Event& event) const {
  StoreBatch batch;
  batch.Put(JournalKey(next_), event.SerializeAsString());
  return batch;
}

absl::Status Journal::Append(const Event& event) {
  CAROUSEL_RETURN_IF_ERROR(store_->Commit(Entry(event)));
  Wrote();
  return absl::OkStatus();
}

absl::Status Journal::Cut(const CoordinatorState& state) {
  if (next_ - first_ < kEventsPerSnapshot) return absl::OkStatus();
  JournalSnapshot snapshot;
  snapshot.set_format_version(kFormatVersion);
  snapshot.set_next_sequence(next_);
  *snapshot.mutable_state() = state;
  StoreBatch batch;
  batch.Put(JournalSnapshotKey(), snapshot.SerializeAsString());
  for (int64_t sequence = first_; sequence < next_; ++sequence) batch.Remove(JournalKey(sequence));
  CAROUSEL_RETURN_IF_ERROR(store_->Commit(batch));
  first_ = next_;
  return absl::OkStatus();
}

}  // namespace carousel
