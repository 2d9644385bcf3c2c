#include "worker/usage.h"

#include <gtest/gtest.h>

namespace carousel {
namespace {

constexpr char kPointer[] = "\n`worker --help` shows what it takes";

TEST(UsageMessage, AProblemIsToldInItsOwnWords) {
  EXPECT_EQ(UsageMessage("worker", "--threads: none is no number\n"),
            std::string("worker: --threads: none is no number") + kPointer);
}

TEST(UsageMessage, AWordThatIsNotExpectedIsQuotedWithTheFlagThatItIsNearTo) {
  const std::vector<std::string> flags = {"--threads", "--state"};

  EXPECT_EQ(
      UsageMessage("worker", "parser's words", {"--thread=2", "--x"}, flags),
      std::string("worker: not expected: \"--thread=2\"; did you mean \"--threads\"?") + kPointer);
  EXPECT_EQ(UsageMessage("worker", "parser's words", {"--quite-other"}, flags),
            std::string("worker: not expected: \"--quite-other\"") + kPointer);
  EXPECT_EQ(UsageMessage("worker", "parser's words", {"stray"}, flags),
            std::string("worker: not expected: \"stray\"") + kPointer);
}

}  // namespace
}  // namespace carousel
