// The whole service on the test backend, whose streams run late and whose memory the host cannot
// touch: the same bits.
#include <gtest/gtest.h>

#include "tests/crash/crash_job.h"

namespace carousel {
namespace {

TEST(Backend, TheServiceOnTheTestBackendComesToTheSameBits) {
  const TemporaryFolder folder;
  const std::string job = WriteCrashJob(folder / "job.yaml");

  const Finished run =
      RunToEnd(Carousel({"local", job, "--workers", "3", "--backend", "test", "--set",
                         "pipeline.segments=2", "--state", folder / "state", "-o", "json"}));

  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(Answer(run)["step"], 40);
  EXPECT_EQ(Answer(run)["state_digest"], UndisturbedDigest());
}

}  // namespace
}  // namespace carousel
