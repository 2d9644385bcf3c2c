#include "cluster/address.h"

#include <gtest/gtest.h>

namespace carousel {
namespace {

TEST(Address, IsANameOrAnIpAddressWithAPort) {
  for (const char* address :
       {"localhost:1", "trainer-1.example_net:7070", "127.0.0.1:65535", "[::1]:7070",
        "[fe80::1%eth0]:7070", "[2001:db8::2]:80", "*:7070", "0.0.0.0:7070"}) {
    EXPECT_TRUE(IsAddress(address, kPortToConnect)) << address;
  }
}

TEST(Address, WithoutAHostOrAPortItIsNone) {
  for (const char* address : {"", ":", "here", "127.0.0.1", "127.0.0.1:", ":7070", "[::1]"}) {
    EXPECT_FALSE(IsAddress(address, kPortToListen)) << address;
  }
}

TEST(Address, APortIsDigitsInItsRange) {
  for (const char* port : {"65536", "99999999999", "-1", "+80", " 80", "80 ", "http", "0x50"}) {
    EXPECT_FALSE(IsAddress(std::string("127.0.0.1:") + port, kPortToListen)) << port;
  }
}

TEST(Address, APortOfZeroIsOnlyToListenOn) {
  EXPECT_TRUE(IsAddress("127.0.0.1:0", kPortToListen));
  EXPECT_FALSE(IsAddress("127.0.0.1:0", kPortToConnect));
}

TEST(Address, AnIpv6HostStandsInBracketsAndNothingElseDoes) {
  for (const char* address : {"::1:7070", "[::1:7070", "::1]:7070", "[]:7070", "[localhost]:7070",
                              "[127.0.0.1]:7070", "[[::1]]:7070"}) {
    EXPECT_FALSE(IsAddress(address, kPortToListen)) << address;
  }
}

TEST(Address, AUrlOrAWordWithSpacesIsNoHost) {
  for (const char* address : {"http://trainer:7070", "trainer/x:7070", " trainer:7070", "a b:1"}) {
    EXPECT_FALSE(IsAddress(address, kPortToListen)) << address;
  }
}

TEST(Address, TheErrorNamesFlagValueAndLimit) {
  EXPECT_TRUE(CheckAddress("--listen", "localhost:0", kPortToListen).ok());
  EXPECT_EQ(CheckAddress("--coordinator", "localhost:0", kPortToConnect).message(),
            "--coordinator=localhost:0 is not host:port with a port from 1 to 65535, e.g. "
            "127.0.0.1:7070 or [::1]:7070");
}

}  // namespace
}  // namespace carousel
