#include "cluster/flag_checks.h"

#include <gtest/gtest.h>

#include <string>

namespace carousel {
namespace {

std::string Said(const CLI::Validator& check, std::string text) { return check(text); }

TEST(FlagChecks, AWholeNumberIsDecimalDigitsWithinItsLimits) {
  const CLI::Validator check = WholeNumber(-2, 1024);
  for (const char* good : {"-2", "0", "7", "1024"}) EXPECT_EQ(Said(check, good), "") << good;
  for (const char* bad : {"-3", "1025", "", "-", "+1", " 1", "1 ", "010", "0x10", "1e2", "2.0",
                          "99999999999999999999"}) {
    EXPECT_EQ(Said(check, bad),
              "\"" + std::string(bad) + "\" is not a whole number from -2 to 1024");
  }
}

TEST(FlagChecks, ANumberIsFiniteAndWithinItsLimits) {
  const CLI::Validator check = Number(0, 100);
  for (const char* good : {"0", "0.8", "1e2"}) EXPECT_EQ(Said(check, good), "") << good;
  for (const char* bad : {"-1", "100.1", "nan", "inf", "", "1x"}) {
    EXPECT_EQ(Said(check, bad), "\"" + std::string(bad) + "\" is not a number from 0 to 100");
  }
}

TEST(FlagChecks, SecondsAreMoreThanNoneAndAtMostAYear) {
  for (const char* good : {"0.5", "31536000"}) EXPECT_EQ(Said(Seconds(), good), "") << good;
  for (const char* bad : {"0", "-3", "31536001", "1e300", "nan", "soon"}) {
    EXPECT_NE(Said(Seconds(), bad).find("above 0 and up to 31536000"), std::string::npos) << bad;
  }
}

TEST(FlagChecks, StepsAreWrittenAsInAJobFile) {
  for (const char* good : {"1", "600", "10k", "1000000000"}) EXPECT_EQ(Said(Steps(), good), "");
  for (const char* bad : {"0", "-1", "none", "", "1000000001", "2G"}) {
    EXPECT_EQ(Said(Steps(), bad),
              "\"" + std::string(bad) + "\" is not a whole number from 1 to 1000000000");
  }
}

TEST(FlagChecks, AnAssignmentNamesAPathThatMayBeChanged) {
  EXPECT_EQ(Said(Assignment(), "steps=9"), "");
  EXPECT_NE(Said(Assignment(), "steps"), "");
  EXPECT_EQ(Said(Assignment("pipeline."), "pipeline.stages=2"), "");
  EXPECT_EQ(Said(Assignment("pipeline."), "steps=9"),
            "\"steps\" cannot be changed here, only pipeline.*; what fixes the result stays as it "
            "is");
}

}  // namespace
}  // namespace carousel
