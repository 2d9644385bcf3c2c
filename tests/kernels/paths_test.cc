// Which paths the tests of this folder have run on: what Paths() leaves out is named here.
#include "kernels/cpu/paths.h"

#include <algorithm>
#include <cstdlib>

#include "gtest/gtest.h"
#include "tests/kernels/values.h"

namespace carousel::kernels {
namespace {

class PathsTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    const std::vector<Isa> paths = Paths();
    if (std::find(paths.begin(), paths.end(), GetParam()) == paths.end()) {
      GTEST_SKIP() << "this processor lacks " << NameOf(GetParam())
                   << ": no test has run on that path here";
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Every, PathsTest, testing::Values(Isa::kScalar, Isa::kAvx2, Isa::kAvx512),
                         [](const auto& info) { return std::string(NameOf(info.param)); });

TEST_P(PathsTest, Computes) {
  const std::vector<float> a = Values<float>(1001, 1), b = Values<float>(1001, 2);
  std::vector<float> y(1001);
  Context context(1);
  RunOn(GetParam(), context, Add{SpanOf(a), SpanOf(b), SpanOf(y)});
  for (size_t i = 0; i < y.size(); ++i) ASSERT_EQ(y[i], a[i] + b[i]);
}

TEST_P(PathsTest, IsOneThatTheBackendTakes) {
  setenv("CAROUSEL_ISA", NameOf(GetParam()), 1);
  const absl::StatusOr<Isa> chosen = ChooseIsa();
  ASSERT_TRUE(chosen.ok()) << chosen.status();
  EXPECT_EQ(*chosen, GetParam());
}

TEST(PathsInOrderTest, TheLastIsTheOneThatTheBackendChooses) {
  unsetenv("CAROUSEL_ISA");
  EXPECT_EQ(Paths().back(), *ChooseIsa());
}

}  // namespace
}  // namespace carousel::kernels
