// One job, one result: the state after some steps has the same digest in every shape. The table
// that is printed is the claim.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "cluster/job/job_file.h"
#include "kernels/cpu/paths.h"
#include "tests/invariance/shape_run.h"

namespace carousel {
namespace {

using kernels::Isa;

// What the bits may depend on.
struct Contract {
  const char* title;
  const char* file;
  int max_replicas;
};
void PrintTo(const Contract& contract, std::ostream* out) { *out << contract.title; }
constexpr Contract kContracts[] = {{"Xlstm1Leaf", "invariance.yaml", 1},
                                   {"Xlstm2Leaves", "invariance.yaml", 2},
                                   {"XlstmLarge1Leaf", "invariance-large.yaml", 1},
                                   {"XlstmLarge2Leaves", "invariance-large.yaml", 2}};

// Two steps without warm-up: the first changes every weight, the second computes with what was
// changed, wherever it had to be brought.
JobSpec Load(const Contract& contract) {
  const std::vector<Override> overrides = {
      {"", "steps", "2"},
      {"", "learning_rate.warmup_steps", "0"},
      {"", "numerics.max_replicas", std::to_string(contract.max_replicas)}};
  const std::string path = std::string("cluster/jobs/") + contract.file;
  absl::StatusOr<JobSpec> job = LoadJobFile(path, overrides);
  EXPECT_TRUE(job.ok()) << job.status();
  return *job;
}

// This machine's, the fastest first.
std::vector<Isa> Paths() {
  std::vector<Isa> paths = kernels::Paths();
  std::reverse(paths.begin(), paths.end());
  return paths;
}

// Of the reference trainer; computed once.
const std::string& Reference(const Contract& contract) {
  static std::map<std::string, std::string> digests;
  std::string& digest = digests[contract.title];
  if (digest.empty()) {
    const Shape reference = {.isa = Paths().front()};
    const absl::StatusOr<std::string> computed = RunInShape(Load(contract), reference);
    EXPECT_TRUE(computed.ok()) << computed.status();
    digest = computed.value_or("none");
  }
  return digest;
}

class Invariance : public testing::TestWithParam<Contract> {
 protected:
  void ExpectTheReferenceIn(const std::vector<Shape>& shapes) {
    const JobSpec job = Load(GetParam());
    const std::string& digest = Reference(GetParam());
    std::printf("%s\n  %-44s %s\n", GetParam().title, "reference", digest.c_str());
    for (const Shape& shape : shapes) {
      const absl::StatusOr<std::string> other = RunInShape(job, shape);
      ASSERT_TRUE(other.ok()) << shape.ToString() << ": " << other.status();
      std::printf("  %-44s %s%s\n", shape.ToString().c_str(), other->c_str(),
                  *other == digest ? "" : "   DIFFERS");
      EXPECT_EQ(*other, digest) << shape.ToString();
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Every, Invariance, testing::ValuesIn(kContracts),
                         [](const auto& info) { return std::string(info.param.title); });

TEST_P(Invariance, EveryCutGivesTheBitsOfTheReference) {
  std::vector<Shape> shapes;
  for (int segments : {2, 4}) shapes.push_back({.segments = segments, .isa = Paths().front()});
  for (int stages : {1, 2, 3, 4}) {
    for (ScheduleKind schedule : {GPIPE, ONE_F_ONE_B}) {
      for (int segments : {1, 2, 4})
        shapes.push_back(
            {.stages = stages, .schedule = schedule, .segments = segments, .isa = Paths().front()});
    }
  }
  for (ScheduleKind schedule : {GPIPE, ONE_F_ONE_B}) {
    shapes.push_back(
        {.stages = 3, .schedule = schedule, .segments = 2, .isa = Paths().front(), .credits = 1});
  }
  ExpectTheReferenceIn(shapes);
}

TEST_P(Invariance, EveryMachineGivesTheBitsOfTheReference) {
  std::vector<Shape> shapes;
  for (Isa isa : Paths()) {
    shapes.push_back({.threads = 2, .isa = isa});
    shapes.push_back({.stages = 3, .segments = 2, .threads = 2, .isa = isa});
  }
  const Isa isa = Paths().front();
  shapes.push_back({.isa = isa, .test_backend = true});
  shapes.push_back({.stages = 3, .segments = 2, .threads = 2, .isa = isa, .test_backend = true});
  shapes.push_back(
      {.stages = 4, .schedule = GPIPE, .segments = 4, .isa = isa, .test_backend = true});
  ExpectTheReferenceIn(shapes);
}

TEST(Leaves, AreAContractOfTheirOwn) {
  EXPECT_NE(Reference(kContracts[0]), Reference(kContracts[1]));
  EXPECT_NE(Reference(kContracts[2]), Reference(kContracts[3]));
}

}  // namespace
}  // namespace carousel
