#include "coordinator/cli/figures.h"

#include <gtest/gtest.h>

#include <limits>

namespace carousel {
namespace {

TEST(Figures, DurationsKeepTwoUnits) {
  EXPECT_EQ(Duration(0.04), "0.0 s");
  EXPECT_EQ(Duration(9.94), "9.9 s");
  EXPECT_EQ(Duration(59.4), "59 s");
  EXPECT_EQ(Duration(60), "1 min 00 s");
  EXPECT_EQ(Duration(3725), "1 h 02 min");
  EXPECT_EQ(Duration(90000), "1 d 1 h");
  EXPECT_EQ(Duration(std::numeric_limits<double>::infinity()), "?");
}

TEST(Figures, BytesAreBinary) {
  EXPECT_EQ(Bytes(1023), "1023 B");
  EXPECT_EQ(Bytes(1536), "1.5 KiB");
  EXPECT_EQ(Bytes(3.0 * (1 << 30)), "3.0 GiB");
}

TEST(Figures, ProgressSaysNothingThatIsNotKnown) {
  Job job;
  job.set_steps(6);
  EXPECT_EQ(ProgressText(job), "step 0/6");
  job.set_step(2);
  job.set_loss(1);
  job.set_tokens(4096);
  EXPECT_EQ(ProgressText(job), "step 2/6  loss 1.0000  perplexity 2.718  4,096 tokens");
  job.set_tokens_per_second(1000);
  job.set_eta_seconds(60);
  EXPECT_NE(ProgressText(job).find("  1,000 tokens/s  eta 1 min 00 s"), std::string::npos);
  job.set_step(6);
  EXPECT_EQ(ProgressText(job).find("eta"), std::string::npos) << "it is over";
}

TEST(Figures, ABubbleThatWasNotMeasuredIsADash) {
  Job job;
  job.set_predicted_bubble_ratio(0.25);
  EXPECT_EQ(BubbleText(job), "bubble -, predicted 25 %");
  job.set_measured_bubble_ratio(0.3);
  EXPECT_EQ(BubbleText(job), "bubble 30 %, predicted 25 %");
  job.set_measured_bubble_ratio(0);
  job.set_tokens_per_second(1000);  // measured: there was none
  EXPECT_EQ(BubbleText(job), "bubble 0 %, predicted 25 %");
}

}  // namespace
}  // namespace carousel
