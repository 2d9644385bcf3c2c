#include "cluster/job/faults.h"

#include <gtest/gtest.h>

#include <string>

namespace carousel {
namespace {

std::string Text(const Faults& faults) { return std::string(faults.ToStatus().message()); }

TEST(FaultsTest, NoFaultIsOk) { EXPECT_TRUE(Faults().ToStatus().ok()); }

TEST(FaultsTest, AFaultNamesPlacePathProblemAndRemedy) {
  Faults faults;
  faults.Add({"job.yaml", 4, 3}, "model.dim", "0 is too small", "write 64");
  EXPECT_EQ(Text(faults), "job.yaml:4:3: model.dim: 0 is too small; write 64");
}

TEST(FaultsTest, AllFaultsAreToldInTheOrderOfTheFileAndFlagsLast) {
  Faults faults;
  faults.Add({"--steps 0", 0, 0}, "steps", "is 0");
  faults.Add({"job.yaml", 7, 1}, "b", "second");
  faults.Add({"job.yaml", 2, 9}, "a", "first");
  faults.Add({"job.yaml", 2, 9}, "a", "first");  // said once
  EXPECT_EQ(Text(faults),
            "job.yaml:2:9: a: first\njob.yaml:7:1: b: second\n--steps 0: steps: is 0");
}

TEST(FaultsTest, AFileThatIsWrongAllOverIsCut) {
  Faults faults;
  for (int i = 1; i <= 200; ++i) faults.Add({"x", i, 1}, "", "wrong");
  EXPECT_NE(Text(faults).find("and 150 more"), std::string::npos);
}

TEST(FaultsTest, AFieldThatWasNotWrittenHasThePlaceOfTheMessageAroundIt) {
  FieldPlaces places;
  places.Set("", {"job.yaml", 1, 1});
  places.Set("model", {"job.yaml", 3, 3});
  EXPECT_EQ(places.Find("model.slstm_at[1]").line, 3);
  EXPECT_EQ(places.Find("steps").line, 1);
  EXPECT_EQ(FieldPlaces().Find("steps"), Place());
}

TEST(FaultsTest, TheNearestNameIsProposedOnlyIfItIsNear) {
  EXPECT_EQ(DidYouMean("num_bloks", {"num_heads", "num_blocks"}), "did you mean \"num_blocks\"?");
  EXPECT_EQ(DidYouMean("DIM", {"dim"}), "did you mean \"dim\"?");
  EXPECT_EQ(DidYouMean("xlstm-125M", {"xlstm-7B", "xlstm-125M-7:1"}),
            "did you mean \"xlstm-125M-7:1\"?");
  EXPECT_EQ(DidYouMean("wheels", {"num_heads", "num_blocks"}), "");
  EXPECT_EQ(DidYouMean(std::string(100'000, 'a'), {"dim"}), "");
}

TEST(FaultsTest, QuotedTextIsShortAndPrintable) {
  EXPECT_EQ(Quoted("a\nb"), "\"a?b\"");
  EXPECT_LT(Quoted(std::string(1000, 'x')).size(), 70u);
}

}  // namespace
}  // namespace carousel
