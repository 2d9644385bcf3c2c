#include "cluster/job/scalars.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace carousel {
namespace {

TEST(ScalarsTest, IntegersAreReadAsPeopleWriteThem) {
  EXPECT_EQ(ParseInteger("12"), 12);
  EXPECT_EQ(ParseInteger("-3"), -3);
  EXPECT_EQ(ParseInteger("+3"), 3);
  EXPECT_EQ(ParseInteger("0"), 0);
  EXPECT_EQ(ParseInteger("4_096"), 4096);
  EXPECT_EQ(ParseInteger("500_000"), 500'000);
  EXPECT_EQ(ParseInteger("2k"), 2'000);
  EXPECT_EQ(ParseInteger("16M"), 16'000'000);
  EXPECT_EQ(ParseInteger("300B"), 300'000'000'000);
  EXPECT_EQ(ParseInteger("1.5k"), 1'500);
  EXPECT_EQ(ParseInteger("2.3T"), 2'300'000'000'000);
  EXPECT_EQ(ParseInteger("9223372036854775807"), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(ParseInteger("-9223372036854775808"), std::numeric_limits<int64_t>::min());
}

TEST(ScalarsTest, WhatIsNotExactlyAnIntegerIsRefused) {
  for (const char* text :
       {"",          "-",    "k",   "1.5", "1.0005k", "1e6",   "0x10",
        "010",       "1__0", "_1",  "1_",  "12 ",     " 12",   "9223372036854775808",
        "10000000T", "1.k",  ".5k", "1k2", "1.5.5k",  "zwölf", "--1",
        "1b"}) {
    EXPECT_FALSE(ParseInteger(text)) << text;
  }
}

TEST(ScalarsTest, NumbersAreFinite) {
  EXPECT_EQ(ParseNumber("0.1"), 0.1);
  EXPECT_EQ(ParseNumber("3e-4"), 3e-4);
  EXPECT_EQ(ParseNumber("1_000.5"), 1000.5);
  EXPECT_EQ(ParseNumber("-.5"), -0.5);
  for (const char* text :
       {"", "inf", ".inf", "nan", "1e999", "0x1p3", "1.2.3", "01.5", "1e", "-"}) {
    EXPECT_FALSE(ParseNumber(text)) << text;
  }
}

TEST(ScalarsTest, DurationsAreSeconds) {
  EXPECT_EQ(ParseDuration("90"), 90);
  EXPECT_EQ(ParseDuration("30s"), 30);
  EXPECT_EQ(ParseDuration("10min"), 600);
  EXPECT_EQ(ParseDuration("1.5h"), 5400);
  EXPECT_EQ(ParseDuration("2d"), 172'800);
  EXPECT_EQ(ParseDuration("250ms"), 0.25);
  for (const char* text : {"min", "10 min", "10m", "10minutes", "1h30min", "s"}) {
    EXPECT_FALSE(ParseDuration(text)) << text;
  }
}

TEST(ScalarsTest, ANumbersTextReadsBackToTheSameBits) {
  for (double value : {0.1, 1.0 / 3, 1e-5, 2.667, 1e300, 5e-324, 0.0, -10.0}) {
    EXPECT_EQ(ParseNumber(NumberText(value)), value) << NumberText(value);
  }
}

}  // namespace
}  // namespace carousel
