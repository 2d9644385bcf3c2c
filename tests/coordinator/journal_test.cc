#include "coordinator/journal.h"

#include <gtest/gtest.h>

#include <string>

#include "cluster/keys.h"
#include "coordinator/state.h"

namespace carousel {
namespace {

Event Joined(int number) {
  Event event;
  event.mutable_worker_joined()->set_session(number);
  event.mutable_worker_joined()->mutable_hello()->set_worker("w" + std::to_string(number));
  return event;
}

class JournalTest : public testing::Test {
 protected:
  void Open() {
    state_.Clear();
    auto journal = Journal::Open(store_.get(), &state_);
    ASSERT_TRUE(journal.ok()) << journal.status();
    journal_ = *std::move(journal);
  }
  void Append(const Event& event) {
    ASSERT_TRUE(journal_->Append(event).ok());
    Apply(event, &state_);
    ASSERT_TRUE(journal_->Cut(state_).ok());
  }
  int EventsAtRest() {
    int count = 0;
    EXPECT_TRUE(store_
                    ->Scan(JournalPrefix(),
                           [&](std::string_view, std::string_view) {
                             ++count;
                             return true;
                           })
                    .ok());
    return count;
  }

  std::unique_ptr<Store> store_ = NewMemoryStore();
  CoordinatorState state_;
  std::unique_ptr<Journal> journal_;
};

TEST_F(JournalTest, FoldsItsEventsWhenItIsOpened) {
  Open();
  Append(Joined(1));
  Append(Joined(2));

  Open();

  EXPECT_EQ(state_.workers_size(), 2);
}

TEST_F(JournalTest, IsCutBySnapshotsAndLosesNothing) {
  Open();
  for (int i = 0; i < kEventsPerSnapshot + 10; ++i) Append(Joined(i));
  EXPECT_EQ(EventsAtRest(), 10);

  Open();
  EXPECT_EQ(state_.workers_size(), kEventsPerSnapshot + 10);
  Append(Joined(9999));
  Open();
  EXPECT_EQ(state_.workers_size(), kEventsPerSnapshot + 11);
}

TEST_F(JournalTest, RefusesAHole) {
  Open();
  for (int i = 0; i < 3; ++i) Append(Joined(i));
  StoreBatch damage;
  damage.Remove(JournalKey(1));
  ASSERT_TRUE(store_->Commit(damage).ok());

  const absl::Status opened = Journal::Open(store_.get(), &state_).status();

  EXPECT_EQ(opened.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(opened.message(), "the journal has no event 1");
}

TEST_F(JournalTest, RefusesAnEventThatItDoesNotKnow) {
  Open();
  StoreBatch damage;
  damage.Put(JournalKey(0), "");
  ASSERT_TRUE(store_->Commit(damage).ok());

  EXPECT_EQ(Journal::Open(store_.get(), &state_).status().message(),
            "event 0 of the journal cannot be read by this build");
}

TEST_F(JournalTest, GoesOnAfterAnEventThatCameInAnotherBatch) {
  Open();
  StoreBatch batch = journal_->Entry(Joined(1));
  batch.Put(LatestKey("job"), "manifest");
  ASSERT_TRUE(store_->Commit(batch).ok());
  journal_->Wrote();
  Apply(Joined(1), &state_);
  Append(Joined(2));

  Open();

  EXPECT_EQ(state_.workers_size(), 2);
}

}  // namespace
}  // namespace carousel
