#include "cluster/loopback.h"

#include <gtest/gtest.h>

namespace carousel {
namespace {

TEST(Loopback, IsLocalhostAndTheAddressesThatNeverLeaveTheMachine) {
  for (const char* listen : {"localhost:1", "127.0.0.1:0", "127.8.9.10:7070", "[::1]:7070"}) {
    EXPECT_TRUE(IsLoopback(listen)) << listen;
  }
}

TEST(Loopback, IsNoOtherAddressAndNoNameThatStartsLikeOne) {
  for (const char* listen : {"0.0.0.0:1", "10.0.0.1:1", "[::]:1", "127.example.org:1", "127.1:1",
                             "localhost.example.org:1", ":7070", "128.0.0.1:1"}) {
    EXPECT_FALSE(IsLoopback(listen)) << listen;
  }
}

}  // namespace
}  // namespace carousel
