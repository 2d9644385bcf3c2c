#include "cluster/counted.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace carousel {
namespace {

TEST(Counted, DigitsStandInGroupsOfThree) {
  EXPECT_EQ(Grouped(0), "0");
  EXPECT_EQ(Grouped(999), "999");
  EXPECT_EQ(Grouped(1000), "1,000");
  EXPECT_EQ(Grouped(6865424896), "6,865,424,896");
  EXPECT_EQ(Grouped(-999), "-999");
  EXPECT_EQ(Grouped(-123456), "-123,456");
  EXPECT_EQ(Grouped(INT64_MIN), "-9,223,372,036,854,775,808");
}

TEST(Counted, OneIsSingular) {
  EXPECT_EQ(Counted(1, "document"), "1 document");
  EXPECT_EQ(Counted(0, "document"), "0 documents");
  EXPECT_EQ(Counted(2000, "document"), "2,000 documents");
}

}  // namespace
}  // namespace carousel
