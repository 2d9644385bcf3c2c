// A comparison that cannot fail would make every golden case pass: each way to be wrong is shown to
// be seen.

#include "tests/golden/compare.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>

#include "tests/cluster/temporary_folder.h"
#include "tests/golden/golden_file.h"
#include "tests/golden/layout.h"
#include "tests/golden/tolerance.h"

namespace carousel::golden {
namespace {

const std::string& Folder() {
  static const TemporaryFolder folder;
  return folder.path();
}

// A case of two-element results in double, each {1, 2} times its power of ten.
GoldenFile CaseOf(const std::string& name, const std::string& kind,
                  const std::vector<std::pair<std::string, double>>& results) {
  std::string json = R"({"__metadata__":{"kind":")" + kind + R"(","config":"{\"B\":2}"})";
  std::string data;
  for (const auto& [result, size] : results) {
    const double values[] = {size, 2 * size};
    json += ",\"" + result + R"(":{"dtype":"F64","shape":[2],"data_offsets":[)" +
            std::to_string(data.size()) + "," + std::to_string(data.size() + 16) + "]}";
    data.append(reinterpret_cast<const char*>(values), sizeof(values));
  }
  json += "}";
  std::string bytes;
  for (int shift = 0; shift < 64; shift += 8) bytes += static_cast<char>(json.size() >> shift);
  const std::string path = Folder() + "/" + name + ".f64.safetensors";
  std::ofstream(path, std::ios::binary) << bytes << json << data;
  return GoldenFile::Open(path).value();
}

const Tolerance kTight = {{Group::kOutput, 1e-11}, {Group::kStep, 1e-7}, {Group::kGradient, 1e-9}};

TEST(Comparison, MeasuresAgainstTheLargestEntryOfTheTensor) {
  const GoldenFile file = CaseOf("largest", "mlstm_cell", {{"h", 1}});
  Comparison comparison(&file);

  ASSERT_TRUE(comparison.Check(Group::kOutput, "h", Values{1 + 1e-9, 2}).ok());

  const GroupResult result = comparison.Judge(kTight).at(Group::kOutput);
  EXPECT_NEAR(result.worst, 0.5e-9, 1e-15);
  EXPECT_FALSE(result.passed());
  EXPECT_EQ(result.where, "h");
}

TEST(Comparison, NamesTheWorstTensorOfEachGroupApart) {
  const GoldenFile file =
      CaseOf("apart", "mlstm_cell", {{"h", 1}, {"n_last", 1}, {"grad_h_mdetach.q", 1}});
  Comparison comparison(&file);

  ASSERT_TRUE(comparison.Check(Group::kOutput, "h", Values{1, 2}).ok());
  ASSERT_TRUE(comparison.Check(Group::kOutput, "n_last", Values{1, 2.1}, "L=4").ok());
  ASSERT_TRUE(comparison.Check(Group::kGradient, "grad_h_mdetach.q", Values{1, 2}).ok());

  const auto results = comparison.Judge(kTight);
  EXPECT_EQ(results.at(Group::kOutput).where, "n_last L=4");
  EXPECT_EQ(results.at(Group::kOutput).tensors, 2);
  EXPECT_TRUE(results.at(Group::kGradient).passed());
  EXPECT_FALSE(results.contains(Group::kStep));
}

TEST(Comparison, NeverPassesWhatIsNotFinite) {
  const GoldenFile file = CaseOf("finite", "mlstm_cell", {{"h", 1}});
  for (double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    Comparison comparison(&file);

    ASSERT_TRUE(comparison.Check(Group::kOutput, "h", Values{bad, 2}).ok());

    EXPECT_FALSE(comparison.Judge({{Group::kOutput, 1e300}}).at(Group::kOutput).passed());
  }
}

TEST(Comparison, NeverPassesATruthThatIsNotFinite) {
  for (double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    for (double ours : {1.0, bad}) {
      const GoldenFile file = CaseOf("bad_truth", "mlstm_cell", {{"h", 1}, {"n_last", bad}});
      Comparison comparison(&file);

      ASSERT_TRUE(comparison.Check(Group::kOutput, "h", Values{1, 2}).ok());
      ASSERT_TRUE(comparison.Check(Group::kOutput, "n_last", Values{ours, 2}).ok());

      EXPECT_FALSE(comparison.Judge({{Group::kOutput, 1e300}}).at(Group::kOutput).passed());
    }
  }
}

TEST(Comparison, RefusesAnotherNumberOfElementsAndAMissingTensor) {
  const GoldenFile file = CaseOf("sizes", "mlstm_cell", {{"h", 1}});
  Comparison comparison(&file);

  EXPECT_FALSE(comparison.Check(Group::kOutput, "h", Values{1}).ok());
  EXPECT_FALSE(comparison.Check(Group::kOutput, "y", Values{1, 2}).ok());
}

TEST(Comparison, JudgesAGradientThatCancelledAgainstTheLargestOfTheCase) {
  const GoldenFile file = CaseOf("cancelled", "block_large",
                                 {{"grad_mdetach.x", 1}, {"grad_mdetach.n0", 1e-8}, {"y", 1e-8}});
  Comparison comparison(&file);

  ASSERT_TRUE(comparison.Check(Group::kGradient, "grad_mdetach.x", Values{1, 2}).ok());
  ASSERT_TRUE(comparison.Check(Group::kGradient, "grad_mdetach.n0", Values{1e-8, 2.1e-8}).ok());
  ASSERT_TRUE(comparison.Check(Group::kOutput, "y", Values{1e-8, 2.1e-8}).ok());

  const auto results = comparison.Judge(kTight);
  EXPECT_NEAR(results.at(Group::kGradient).worst, 0.1e-8 / (kSmallGradient * 2), 1e-12);
  EXPECT_NEAR(results.at(Group::kOutput).worst, 0.05, 1e-12);
}

TEST(Comparison, TellsWhatWasForgotten) {
  const GoldenFile file = CaseOf("forgotten", "mlstm_cell",
                                 {{"h", 1}, {"n_last", 1}, {"grad_h.q", 1}, {"custbw.h", 1}});
  Comparison comparison(&file);

  ASSERT_TRUE(comparison.Check(Group::kOutput, "h", Values{1, 2}).ok());

  EXPECT_EQ(comparison.Forgotten(), std::vector<std::string>{"n_last"});
}

TEST(Truth, IsTheConventionThatHoldsTheStabiliserConstant) {
  for (const char* name : {"h", "chunk.C_states", "grad_hs_mdetach.q", "grad_hidden_mdetach.3",
                           "grad_norm_mdetach", "step.state.0.C", "odd.logits"}) {
    EXPECT_TRUE(IsTruth("lm_orig", name)) << name;
  }
  for (const char* name : {"grad_h.q", "chunk.grad_h.q", "par.grad_h.q", "grad_hidden.3",
                           "grad_norm", "grad_s.x", "custbw.grad.x", "xlstep.h", "act.ffn", "L"}) {
    EXPECT_FALSE(IsTruth("lm_orig", name)) << name;
  }
  EXPECT_TRUE(IsTruth("traj_large", "mdetach.final.lm_head.weight"));
  EXPECT_FALSE(IsTruth("traj_large", "final.lm_head.weight"));
}

TEST(FloatErrors, AreTheLargestOfTheCaseWithAFloor) {
  std::ofstream(Folder() + "/tolerances.json") << R"({"spread":{
      "h":{"max_abs":2,"max_abs_diff":2e-6,"rel":1e-6},
      "par.h":{"max_abs":1,"max_abs_diff":3e-6,"rel":3e-6},
      "L_h":{"max_abs":1,"max_abs_diff":1,"rel":1},
      "grad_h.q":{"max_abs":10,"max_abs_diff":1e-8,"rel":1e-9},
      "grad_h.n0":{"max_abs":1e-6,"max_abs_diff":1e-7,"rel":0.1}}})";
  const GoldenFile known = CaseOf("spread", "mlstm_cell", {{"h", 1}});
  const GoldenFile unknown = CaseOf("unheard", "mlstm_cell", {{"h", 1}});

  const absl::StatusOr<FloatErrors> errors = FloatErrors::Load(Folder());

  ASSERT_TRUE(errors.ok()) << errors.status();
  const Tolerance tolerance = errors->For(known).value();
  EXPECT_NEAR(tolerance.at(Group::kOutput), 1.5e-5, 1e-12);  // 5 x par.h, not a scalar sum
  EXPECT_NEAR(tolerance.at(Group::kGradient), 2e-3, 1e-9);   // 20 x 1e-7 / (1e-4 x 10)
  EXPECT_EQ(errors->For(unknown).status().code(), absl::StatusCode::kNotFound);
}

TEST(Layout, PermutesAxes) {
  // [2, 3] -> [3, 2]
  EXPECT_EQ(Permute({1, 2, 3, 4, 5, 6}, {2, 3}, {1, 0}), (Values{1, 4, 2, 5, 3, 6}));
}

TEST(Layout, TheWayBackIsTheInverse) {
  Values values(2 * 3 * 5 * 4);
  for (size_t j = 0; j < values.size(); ++j) values[j] = static_cast<double>(j);

  EXPECT_EQ(HeadsOfRows(RowsOfHeads(values, 2, 3, 5), 2, 3, 5), values);
  EXPECT_EQ(SequenceMajor(TimeMajor(values, 2, 3), 2, 3), values);
  values.resize(3 * 4 * 2 * 2);
  EXPECT_EQ(VanillaKernel(IndependentKernel(values, 3, 2), 3, 2), values);
  EXPECT_EQ(VanillaBias(IndependentBias(values, 3, 4), 3, 4), values);
}

}  // namespace
}  // namespace carousel::golden
