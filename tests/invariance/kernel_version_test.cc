// The bits of two jobs, written down. They are what numerics.kernel_version stands for: a change of
// any sum, of an initial value or of the data's order shows here, on whatever machine it is built.

#include <gtest/gtest.h>

#include <string>

#include "cluster/job/job_file.h"
#include "cluster/job/resolve.h"
#include "tests/invariance/shape_run.h"

namespace carousel {
namespace {

// A job resumed by other sums would be neither the old result nor the new one.
constexpr char kWhatToDo[] =
    "other bits than kernel version 2's. If that is not a mistake: raise kKernelVersion "
    "(cluster/job/resolve.h), so that no job goes on with other sums than it began with, and write "
    "down the new digests here.";

std::string DigestOf(const std::string& file) {
  const absl::StatusOr<JobSpec> job = LoadJobFile(
      "cluster/jobs/" + file, {{"", "steps", "2"}, {"", "learning_rate.warmup_steps", "0"}});
  EXPECT_TRUE(job.ok()) << job.status();
  const absl::StatusOr<std::string> digest = RunInShape(*job, Shape());
  EXPECT_TRUE(digest.ok()) << digest.status();
  return digest.value_or("");
}

TEST(KernelVersionTest, StandsForTheseBits) {
  ASSERT_EQ(kKernelVersion, 2) << "write down the digests of the new version";
  EXPECT_EQ(DigestOf("invariance.yaml"), "d9ae92de330bc0d0efb07ffc2a1f7c55") << kWhatToDo;
  EXPECT_EQ(DigestOf("invariance-large.yaml"), "3566e60f5a4a4d9ab7d7421043e1f047") << kWhatToDo;
}

}  // namespace
}  // namespace carousel
