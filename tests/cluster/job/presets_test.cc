#include "cluster/job/presets.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "cluster/job/job_file.h"
#include "cluster/job/model_layout.h"
#include "cluster/job/resolve.h"

namespace carousel {
namespace {

constexpr const char* kRest = R"(
name: a
data: {synthetic: {}, sequence_length: 64, batch_size: 4}
learning_rate: {peak: 1e-3}
steps: 100
)";

JobSpec JobOf(const std::string& model) {
  const auto job = ResolveJob(ParseJob("model: " + model + kRest, "job.yaml"));
  EXPECT_TRUE(job.ok()) << job.status();
  return job.value_or(JobSpec());
}

int64_t ParametersOf(const std::string& preset) {
  return LayOut(JobOf("{preset: \"" + preset + "\"}").model()).Elements();
}

std::string Millions(int64_t parameters) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.3f", static_cast<double>(parameters) / 1e6);
  return text;
}

TEST(PresetsTest, ParameterCountsAreThePapersAtTheirPrintedPrecision) {
  struct Printed {
    const char* preset;
    const char* millions;
  };
  for (const Printed& printed :
       {Printed{"xlstm-125M-1:0", "163.806"}, Printed{"xlstm-350M-1:0", "409.290"},
        Printed{"xlstm-760M-1:0", "840.427"}, Printed{"xlstm-1.3B-1:0", "1422.560"},
        Printed{"xlstm-2.7B-1:0", "2788.396"}, Printed{"xlstm-125M-7:1", "163.691"},
        Printed{"xlstm-350M-7:1", "408.436"}, Printed{"xlstm-760M-7:1", "839.736"},
        Printed{"xlstm-1.3B-7:1", "1420.065"}, Printed{"xlstm-2.7B-7:1", "2783.312"}}) {
    EXPECT_EQ(Millions(ParametersOf(printed.preset)), printed.millions) << printed.preset;
  }
}

TEST(PresetsTest, Xlstm7BHasExactlyThePapersParameters) {
  EXPECT_EQ(ParametersOf("xlstm-7B"), 6'865'424'896);
}

TEST(PresetsTest, TheAblationSizesOfXlstm7BHaveTheirKnownCounts) {
  EXPECT_NEAR(ParametersOf("xlstm-large-165M"), 162.3e6, 0.05e6);
  EXPECT_NEAR(ParametersOf("xlstm-large-400M"), 406.9e6, 0.05e6);
  EXPECT_NEAR(ParametersOf("xlstm-large-1.4B"), 1420.8e6, 0.05e6);
}

TEST(PresetsTest, EveryPresetResolvesAndLaptopSizesAreSmall) {
  for (const Preset& preset : Presets()) {
    const int64_t parameters = ParametersOf(preset.name);
    EXPECT_GT(parameters, 0) << preset.name;
    const bool laptop = preset.name.ends_with("-tiny") || preset.name.ends_with("-small");
    EXPECT_EQ(laptop, parameters < 3'000'000) << preset.name << " " << parameters;
  }
}

TEST(PresetsTest, AFieldOfTheJobStandsOverThePresets) {
  const ModelSpec model = JobOf("{preset: XLSTM-125m-7:1, dim: 256, slstm_at: []}").model();
  EXPECT_EQ(model.dim(), 256);
  EXPECT_EQ(model.num_blocks(), 24);
  EXPECT_EQ(model.slstm_at_size(), 0);
}

TEST(PresetsTest, AResolvedJobStandsWithoutItsPreset) {
  const ModelSpec model = JobOf("{preset: xlstm-125M-7:1}").model();
  EXPECT_FALSE(model.has_preset());
  EXPECT_EQ(model.slstm_at_size(), 2);
}

}  // namespace
}  // namespace carousel
