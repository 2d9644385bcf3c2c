// One job, one result: the state after some steps has the same digest in every shape. The table
// that is printed is the claim.

#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <vector>

#include "cluster/job/job_file.h"
#include "tests/invariance/shape_run.h"

namespace carousel {
namespace {

using kernels::Isa;

JobSpec Load(const std::string& file, int steps, int max_replicas) {
  const std::vector<Override> overrides = {
      {"", "steps", std::to_string(steps)},
      {"", "learning_rate.warmup_steps", "1"},
      {"", "numerics.max_replicas", std::to_string(max_replicas)}};
  absl::StatusOr<JobSpec> job = LoadJobFile("cluster/jobs/" + file, overrides);
  EXPECT_TRUE(job.ok()) << job.status();
  return *job;
}

// The fastest path of this machine, and all that it has.
std::vector<Isa> Paths() {
  std::vector<Isa> paths = {Isa::kAvx2, Isa::kScalar};
  if (__builtin_cpu_supports("avx512f")) paths.insert(paths.begin(), Isa::kAvx512);
  return paths;
}

void ExpectEverywhere(const JobSpec& job, const std::string& digest,
                      const std::vector<Shape>& shapes) {
  for (const Shape& shape : shapes) {
    const absl::StatusOr<std::string> other = RunInShape(job, shape);
    ASSERT_TRUE(other.ok()) << shape.ToString() << ": " << other.status();
    std::printf("  %-44s %s%s\n", shape.ToString().c_str(), other->c_str(),
                *other == digest ? "" : "   DIFFERS");
    EXPECT_EQ(*other, digest) << shape.ToString();
  }
}

std::string Reference(const JobSpec& job, const char* title) {
  const Shape reference = {.isa = Paths().front()};
  const absl::StatusOr<std::string> digest = RunInShape(job, reference);
  EXPECT_TRUE(digest.ok()) << digest.status();
  std::printf("%s\n  %-44s %s\n", title, reference.ToString().c_str(), digest->c_str());
  return *digest;
}

std::vector<Shape> EveryPipeline() {
  std::vector<Shape> shapes;
  for (int stages : {1, 2, 3, 4}) {
    for (ScheduleKind schedule : {GPIPE, ONE_F_ONE_B}) {
      for (int segments : {1, 2, 4})
        shapes.push_back(
            {.stages = stages, .schedule = schedule, .segments = segments, .isa = Paths().front()});
    }
  }
  return shapes;
}

std::vector<Shape> EveryMachine() {
  std::vector<Shape> shapes;
  for (Isa isa : Paths()) {
    shapes.push_back({.threads = 2, .isa = isa});
    shapes.push_back({.stages = 3, .segments = 2, .threads = 2, .isa = isa});
  }
  shapes.push_back({.isa = Paths().front(), .test_backend = true});
  shapes.push_back(
      {.stages = 3, .segments = 2, .threads = 2, .isa = Paths().front(), .test_backend = true});
  shapes.push_back({.stages = 4,
                    .schedule = GPIPE,
                    .segments = 4,
                    .isa = Paths().front(),
                    .test_backend = true});
  return shapes;
}

TEST(Invariance, EveryCutOfA2024ModelGivesTheBitsOfTheReference) {
  const JobSpec job = Load("invariance.yaml", 2, 1);
  ExpectEverywhere(job, Reference(job, "xlstm, tied head, G = 1"), EveryPipeline());
}

TEST(Invariance, EveryMachineGivesTheSameBits) {
  const JobSpec job = Load("invariance.yaml", 2, 1);
  ExpectEverywhere(job, Reference(job, "xlstm, tied head, G = 1"), EveryMachine());
}

TEST(Invariance, TwoGradientLeavesAreAnotherContractAndAsInvariant) {
  const JobSpec one = Load("invariance.yaml", 2, 1), two = Load("invariance.yaml", 2, 2);
  const std::string digest = Reference(two, "xlstm, tied head, G = 2");
  EXPECT_NE(digest, *RunInShape(one, {.isa = Paths().front()}));
  ExpectEverywhere(two, digest, EveryPipeline());
}

TEST(Invariance, EveryCutOfALargeModelGivesTheBitsOfTheReference) {
  const JobSpec job = Load("invariance-large.yaml", 3, 1);
  const std::string digest = Reference(job, "xlstm_large, G = 1");
  ExpectEverywhere(job, digest, EveryPipeline());
  ExpectEverywhere(job, digest, EveryMachine());
}

}  // namespace
}  // namespace carousel
