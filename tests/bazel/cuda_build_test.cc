// CUDA sources become part of a program where a toolkit is; where none is, the build asks for none.

#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <vector>

#include "tests/bazel/cuda_probe.h"

namespace carousel {
namespace {

#ifdef CAROUSEL_HAVE_CUDA

TEST(CudaBuildTest, TheLibrariesThatWereLinkedSayWhatTheyAre) {
  const std::string versions = CudaVersions();
  std::printf("%s\n", versions.c_str());
  EXPECT_EQ(versions.find("unknown"), std::string::npos) << versions;
  EXPECT_EQ(versions.find("CUDA 0"), std::string::npos) << versions;
}

TEST(CudaBuildTest, AKernelRuns) {
  const std::string why_not = WhyNoKernelRuns();
  if (!why_not.empty()) GTEST_SKIP() << why_not;
  std::vector<float> numbers, expected;
  for (int i = 0; i < 1000; ++i) numbers.push_back(0.1f * static_cast<float>(i));
  for (const float number : numbers) expected.push_back(2 * number);

  std::string error;
  const std::vector<float> doubled = DoubledByGpu(numbers, &error);

  EXPECT_EQ(error, "");
  EXPECT_EQ(doubled, expected);
}

#else

TEST(CudaBuildTest, NeedsNoToolkit) {
  GTEST_SKIP() << "no CUDA toolkit with cuBLAS and NCCL in $CUDA_HOME or /usr/local/cuda when "
                  "this was built";
}

#endif

}  // namespace
}  // namespace carousel
