// The contract of cluster/store.h, told to both stores.
#include "cluster/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cluster/temporary_folder.h"

namespace carousel {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using Kind = std::string;

class StoreTest : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    if (GetParam() == "memory") {
      store_ = NewMemoryStore();
    } else {
      absl::StatusOr<std::unique_ptr<Store>> store = OpenRocksDbStore(folder_ / "store");
      ASSERT_TRUE(store.ok()) << store.status();
      store_ = *std::move(store);
    }
  }

  void Put(const std::vector<std::pair<std::string, std::string>>& entries) {
    StoreBatch batch;
    for (const auto& [key, value] : entries) batch.Put(key, value);
    ASSERT_TRUE(store_->Commit(batch).ok());
  }

  void PutBulk(const std::vector<std::pair<std::string, std::string>>& entries) {
    auto ingest = store_->NewIngest(1000);
    ASSERT_TRUE(ingest.ok()) << ingest.status();
    for (const auto& [key, value] : entries) ASSERT_TRUE((*ingest)->Add(key, value).ok());
    absl::Status finished = (*ingest)->Finish();
    ASSERT_TRUE(finished.ok()) << finished;
  }

  std::vector<std::string> Keys(std::string_view prefix) {
    std::vector<std::string> keys;
    absl::Status status = store_->Scan(prefix, [&](std::string_view key, std::string_view) {
      keys.emplace_back(key);
      return true;
    });
    EXPECT_TRUE(status.ok()) << status;
    return keys;
  }

  TemporaryFolder folder_;
  std::unique_ptr<Store> store_;
};

INSTANTIATE_TEST_SUITE_P(Both, StoreTest, ::testing::Values("memory", "rocksdb"),
                         [](const auto& info) { return info.param; });

TEST_P(StoreTest, GetsWhatWasCommitted) {
  Put({{"a", "1"}});
  EXPECT_EQ(*store_->Get("a"), "1");
  EXPECT_EQ(store_->Get("b").status().code(), absl::StatusCode::kNotFound);
}

TEST_P(StoreTest, TheLaterChangeOfABatchHolds) {
  StoreBatch batch;
  batch.Put("a", "1");
  batch.Put("a", "2");
  batch.Put("b", "1");
  batch.Remove("b");
  ASSERT_TRUE(store_->Commit(batch).ok());
  EXPECT_EQ(*store_->Get("a"), "2");
  EXPECT_FALSE(store_->Get("b").ok());
}

TEST_P(StoreTest, ASealedBatchReadsLikeAnyOther) {
  StoreBatch batch;
  batch.seal = true;
  batch.Put("a", "1");
  ASSERT_TRUE(store_->Commit(batch).ok());
  Put({{"a", "2"}});
  EXPECT_EQ(*store_->Get("a"), "2");
}

TEST_P(StoreTest, ScansAPrefixInByteOrder) {
  Put({{"b\xff", ""}, {"b", ""}, {"ba", ""}, {"c", ""}, {"a", ""}, {std::string("b\0", 2), ""}});
  EXPECT_THAT(Keys("b"), ElementsAre("b", std::string("b\0", 2), "ba", "b\xff"));
}

TEST_P(StoreTest, ScanStopsWhenAsked) {
  Put({{"a", ""}, {"b", ""}, {"c", ""}});
  int seen = 0;
  ASSERT_TRUE(store_->Scan("", [&](auto, auto) { return ++seen < 2; }).ok());
  EXPECT_EQ(seen, 2);
}

TEST_P(StoreTest, AnEmptyPrefixScansRecordsThenBulk) {
  Put({{"}", ""}, {"a", ""}});
  PutBulk({{"~a", "x"}});
  EXPECT_THAT(Keys(""), ElementsAre("a", "}", "~a"));
}

TEST_P(StoreTest, ABulkFileIsInvisibleUntilItIsFinished) {
  auto ingest = *store_->NewIngest(10);
  ASSERT_TRUE(ingest->Add("~a", "1").ok());
  EXPECT_FALSE(store_->Get("~a").ok());
  ASSERT_TRUE(ingest->Finish().ok());
  EXPECT_EQ(*store_->Get("~a"), "1");
}

TEST_P(StoreTest, ADroppedIngestLeavesNothing) {
  {
    auto ingest = *store_->NewIngest(10);
    ASSERT_TRUE(ingest->Add("~a", "1").ok());
  }
  EXPECT_THAT(Keys(""), IsEmpty());
}

TEST_P(StoreTest, AnIngestOfNothingIsNoError) {
  auto ingest = *store_->NewIngest(0);
  EXPECT_TRUE(ingest->Finish().ok());
}

TEST_P(StoreTest, ASecondIngestOfAKeyReplacesTheFirst) {
  PutBulk({{"~a", "1"}, {"~c", "1"}});
  PutBulk({{"~a", "2"}, {"~b", "2"}});
  EXPECT_EQ(*store_->Get("~a"), "2");
  EXPECT_EQ(*store_->Get("~c"), "1");
}

TEST_P(StoreTest, RefusesBulkKeysOutOfOrder) {
  auto ingest = *store_->NewIngest(10);
  ASSERT_TRUE(ingest->Add("~b", "1").ok());
  EXPECT_EQ(ingest->Add("~a", "1").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ingest->Add("~b", "1").code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(StoreTest, KeepsTheTwoKindsOfKeysApart) {
  StoreBatch batch;
  batch.Put("a", "1");
  batch.Put("~a", "1");
  EXPECT_EQ(store_->Commit(batch).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(store_->Get("a").ok()) << "a refused batch leaves nothing";
  auto ingest = *store_->NewIngest(10);
  EXPECT_EQ(ingest->Add("a", "1").code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(StoreTest, RemovesAPrefixAndNothingBesideIt) {
  Put({{"a", ""}, {"ab", ""}, {"b", ""}});
  PutBulk({{"~a1", "x"}, {"~a2", "x"}});
  PutBulk({{"~b1", "x"}});
  ASSERT_TRUE(store_->RemovePrefix("a").ok());
  ASSERT_TRUE(store_->RemovePrefix("~a").ok());
  EXPECT_THAT(Keys(""), ElementsAre("b", "~b1"));
}

TEST_P(StoreTest, RemovesPartOfABulkFile) {
  PutBulk({{"~a1", "x"}, {"~a2", "x"}, {"~b1", "x"}});
  ASSERT_TRUE(store_->RemovePrefix("~a").ok());
  EXPECT_THAT(Keys("~"), ElementsAre("~b1"));
  PutBulk({{"~a2", "y"}});
  EXPECT_THAT(Keys("~"), ElementsAre("~a2", "~b1"));
}

TEST_P(StoreTest, RefusesToRemoveAnEmptyPrefix) {
  EXPECT_EQ(store_->RemovePrefix("").code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(StoreTest, RefusesAnIngestThatTheDiskCannotHold) {
  if (GetParam() == "memory") GTEST_SKIP() << "memory has no disk";
  auto ingest = store_->NewIngest(uint64_t{1} << 60);
  EXPECT_EQ(ingest.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(ingest.status().message()), HasSubstr(folder_.path()));
}

}  // namespace
}  // namespace carousel
