#include "cluster/store_identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/keys.h"
#include "tests/cluster/temporary_folder.h"

namespace carousel {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

TEST(StoreIdentity, AFreshStoreIsNobodysUntilItIsClaimed) {
  auto store = NewMemoryStore();
  EXPECT_FALSE(ReadStoreIdentity(*store)->has_value());
  ASSERT_TRUE(ClaimStore(*store, "c1", kWorkerRole).ok());
  EXPECT_EQ((*ReadStoreIdentity(*store))->cluster_id(), "c1");
}

TEST(StoreIdentity, TheSameClaimAgainIsWelcome) {
  auto store = NewMemoryStore();
  ASSERT_TRUE(ClaimStore(*store, "c1", kWorkerRole).ok());
  EXPECT_TRUE(ClaimStore(*store, "c1", kWorkerRole).ok());
}

TEST(StoreIdentity, AnotherClustersFolderIsRefusedByName) {
  TemporaryFolder folder;
  auto store = *OpenRocksDbStore(folder / "state");
  ASSERT_TRUE(ClaimStore(*store, "c1", kWorkerRole).ok());
  absl::Status refused = ClaimStore(*store, "c2", kWorkerRole);
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(refused), AllOf(HasSubstr(folder / "state"), HasSubstr("cluster c1"),
                                      HasSubstr("cluster c2"), HasSubstr("another state folder")));
  EXPECT_EQ((*ReadStoreIdentity(*store))->cluster_id(), "c1");
}

TEST(StoreIdentity, AnotherRolesFolderIsRefusedByName) {
  auto store = NewMemoryStore();
  ASSERT_TRUE(ClaimStore(*store, "c1", kWorkerRole).ok());
  EXPECT_THAT(Message(ClaimStore(*store, "c1", kCoordinatorRole)),
              HasSubstr("store of a worker, not of a coordinator"));
}

TEST(StoreIdentity, ANewerBuildsFolderIsRefused) {
  auto store = NewMemoryStore();
  StoreIdentity newer;
  newer.set_format_version(kStoreFormatVersion + 1);
  newer.set_cluster_id("c1");
  newer.set_role(std::string(kWorkerRole));
  StoreBatch batch;
  batch.Put(IdentityKey(), newer.SerializeAsString());
  ASSERT_TRUE(store->Commit(batch).ok());
  EXPECT_THAT(Message(ClaimStore(*store, "c1", kWorkerRole)), HasSubstr("newer build"));
}

TEST(StoreIdentity, DataThatNobodyClaimsAreNotTakenOver) {
  auto store = NewMemoryStore();
  StoreBatch batch;
  batch.Put(JournalKey(1), "event");
  ASSERT_TRUE(store->Commit(batch).ok());
  EXPECT_THAT(Message(ClaimStore(*store, "c1", kCoordinatorRole)),
              HasSubstr("no longer says whose"));
}

}  // namespace
}  // namespace carousel
