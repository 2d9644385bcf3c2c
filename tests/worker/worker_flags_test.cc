#include "worker/worker_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace carousel {
namespace {

using ::testing::HasSubstr;

WorkerFlags Good() { return {.coordinator = "127.0.0.1:7070", .state = "/tmp/w"}; }

std::string Refusal(const WorkerFlags& flags) {
  const absl::Status status = CheckFlags(flags);
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  return std::string(status.message());
}

TEST(WorkerFlags, GoodOnesPass) {
  WorkerFlags flags = Good();
  EXPECT_TRUE(CheckFlags(flags).ok());
  flags.coordinator = "trainer.example:7070";
  flags.listen = "[::1]:0";
  EXPECT_TRUE(CheckFlags(flags).ok()) << CheckFlags(flags);
  flags.listen = "192.168.1.5:7071";
  flags.insecure = true;
  EXPECT_TRUE(CheckFlags(flags).ok());
}

TEST(WorkerFlags, WhatIsNoAddressIsRefusedByName) {
  for (const std::string bad : {"localhost", ":7070", "host:", "host:port", "host:0", "host:70000",
                                "::1:7070", "host:-1"}) {
    WorkerFlags flags = Good();
    flags.coordinator = bad;
    EXPECT_THAT(Refusal(flags), HasSubstr("--coordinator=" + bad + " is not host:port"));
  }
  WorkerFlags flags = Good();
  flags.listen = "7071";
  EXPECT_THAT(Refusal(flags), HasSubstr("--listen=7071 is not host:port"));
}

TEST(WorkerFlags, WhatIsMissingIsNamed) {
  EXPECT_THAT(Refusal({.state = "/tmp/w"}), HasSubstr("--coordinator is missing"));
  EXPECT_THAT(Refusal({.coordinator = "127.0.0.1:7070"}), HasSubstr("--state is missing"));
}

// It is what the others are told to connect to.
TEST(WorkerFlags, EveryInterfaceIsNoAddressOfAWorker) {
  for (const std::string any : {"0.0.0.0:7071", "[::]:7071", "*:7071"}) {
    WorkerFlags flags = Good();
    flags.listen = any;
    flags.insecure = true;
    EXPECT_THAT(Refusal(flags), HasSubstr("--listen=" + any + " is every address")) << any;
  }
}

TEST(WorkerFlags, BeyondLoopbackNeedsTheWord) {
  WorkerFlags flags = Good();
  flags.listen = "192.168.1.5:7071";
  EXPECT_THAT(Refusal(flags), HasSubstr("add --insecure"));
}

}  // namespace
}  // namespace carousel
