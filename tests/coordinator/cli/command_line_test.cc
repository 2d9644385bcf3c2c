// Malformed command lines: each is answered by an error that names the culprit and the way out, and
// by the exit code of its kind.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/coordinator/cli/carousel_process.h"

namespace carousel {
namespace {

struct Wrong {
  std::vector<std::string> arguments;
  int code;
  std::vector<std::string> said;  // all of it stands on stderr
};

class CommandLine : public testing::Test {
 protected:
  void SetUp() override {
    unsetenv("CAROUSEL_COORDINATOR");
    WriteTinyJob(folder_ / "tiny.yaml");
    std::ofstream(folder_ / "broken.yaml") << "name: [\n";
    std::ofstream(folder_ / "text.txt") << "Ganz ohne Grund\n";
    std::filesystem::create_directory(folder_ / "used");
    std::ofstream(folder_ / "used/thesis.tex") << "\\begin";
  }

  void Expect(const std::vector<Wrong>& table) {
    for (const Wrong& wrong : table) {
      std::string line = "carousel";
      for (const std::string& word : wrong.arguments) line += " " + word;
      SCOPED_TRACE(line);
      const Finished result = RunCarousel(wrong.arguments);
      EXPECT_EQ(result.code, wrong.code) << result.err;
      EXPECT_EQ(result.out, "");
      EXPECT_EQ(result.err.substr(0, 10), "carousel: ") << result.err;
      for (const std::string& text : wrong.said) {
        EXPECT_NE(result.err.find(text), std::string::npos) << text << " is not in:\n"
                                                            << result.err;
      }
    }
  }

  TemporaryFolder folder_;
  const std::string job_ = folder_ / "tiny.yaml";
};

TEST_F(CommandLine, IsRefusedWithWhatWasMeant) {
  Expect({
      {{}, 2, {"subcommand is required", "carousel --help"}},
      {{"sumbit", job_}, 2, {"there is no verb \"sumbit\"", "did you mean \"submit\"?"}},
      {{"subm", job_}, 2, {"there is no verb \"subm\"", "submit"}},
      {{"get"}, 2, {"subcommand is required", "carousel get --help"}},
      {{"get", "job"}, 2, {"there is no verb \"job\"", "did you mean \"jobs\"?"}},
      {{"data", "biuld"}, 2, {"did you mean \"build\"?"}},
      {{"local"}, 2, {"FILE is required", "carousel local --help"}},
      {{"local", job_, "--worker", "2"}, 2, {"\"--worker\"", "did you mean \"--workers\"?"}},
      {{"local", job_, "--workers", "0"}, 2, {"--workers", "0", "1 to 256"}},
      {{"local", job_, "--workers", "many"}, 2, {"--workers", "many"}},
      {{"local", job_, "--threads", "-1"}, 2, {"--threads"}},
      {{"local", job_, "--backend", "gpu"}, 2, {"--backend", "gpu", "cpu"}},
      {{"local", job_, "-o", "xml"}, 2, {"--output", "xml", "json"}},
      {{"local", job_, "other.yaml"}, 2, {"not expected: \"other.yaml\""}},
      {{"submit", job_, "--set", "pipeline.stages"}, 2, {"pipeline.stages", "path=value"}},
      {{"submit", job_, "--set"}, 2, {"--set"}},
      {{"submit", job_, "--steps", "3", "--steps", "4"}, 2, {"--steps"}},
      {{"watch"}, 2, {"JOB is required"}},
      {{"wait", "tiny-1", "--timeout", "soon"}, 2, {"--timeout", "soon"}},
      {{"wait", "tiny-1", "--timeout", "-3"}, 2, {"--timeout: \"-3\"", "up to 31536000"}},
      {{"pause", "tiny-1", "--timeout", "1e300"}, 2, {"--timeout", "1e300", "31536000"}},
      {{"generate", "tiny-1", "--temperature", "nan"}, 2, {"--temperature", "from 0 to 100"}},
      {{"generate", "tiny-1", "--max-tokens", "0"}, 2, {"--max-tokens"}},
      {{"eval", "tiny-1", "--step", "0"},
       2,
       {"--step: \"0\" is not a whole number from 1 to 1000000000"}},
      {{"eval", "tiny-1", "--threads", "2"}, 2, {"--threads", "--state"}},
      {{"generate", "tiny-1", "--threads", "2"}, 2, {"--threads", "--state"}},
      {{"generate", "tiny-1", "--raw", "-o", "json"}, 2, {"--raw", "--output"}},
      {{"get", "jobs", "--state", "s", "--coordinator", "127.0.0.1:1"}, 2, {"excludes", "--state"}},
      {{"get", "nodes", "--state", "s"}, 2, {"not expected: \"--state\""}},
      {{"logs", "-o", "xml"}, 2, {"--output", "xml", "json"}},
      {{"resume", "tiny-1", "--dataset"}, 2, {"--dataset"}},
      {{"resume", "tiny-1", "--set", "steps=9"}, 2, {"\"steps\"", "only pipeline.*"}},
      {{"logs", "--tail", "0"}, 2, {"--tail"}},
      {{"get", "jobs", "--coordinator", "nowhere"}, 2, {"nowhere", "host:port"}},
      {{"get", "jobs", "--coordinator", "127.0.0.1:99999"}, 2, {"127.0.0.1:99999", "65535"}},
      {{"get", "jobs", "--coordinator", "::1:7070"}, 2, {"::1:7070", "host:port", "[::1]:7070"}},
      {{"validate", job_, "--steps", "none"}, 2, {"--steps", "none", "whole number"}},
      {{"validate", job_, "--steps", "0"}, 2, {"--steps", "from 1 to 1000000000"}},
      {{"local", job_, "--state", folder_ / "s", "--workers", "2", "--set", "pipeline.stages=3"},
       2,
       {"--workers 2", "pipeline.stages=3"}},
      {{"data", "build", "--output", folder_ / "set", folder_ / "text.txt"},
       2,
       {"--output", "json"}},
      {{"data", "build", "--to", folder_ / "set", folder_ / "text.txt", "--held-out-every", "1"},
       2,
       {"--held-out-every 1", "nothing out"}},
      {{"validate"}, 2, {"FILE is missing", "--presets"}},
      {{"data", "build", folder_ / "text.txt"}, 2, {"--to is required"}},
  });
  EXPECT_FALSE(std::filesystem::exists(folder_ / "s"));
}

TEST_F(CommandLine, NamesWhatIsWrongWithTheJob) {
  Expect({
      {{"validate", folder_ / "none.yaml"}, 4, {"none.yaml", "no such file", "cluster/jobs/"}},
      {{"validate", folder_.path()}, 3, {folder_.path(), "is not a file"}},
      {{"validate", folder_ / "broken.yaml"}, 3, {"broken.yaml:"}},
      {{"validate", job_, "--set", "model.num_bloks=3"},
       3,
       {"num_bloks", "did you mean \"num_blocks\"?"}},
      {{"validate", job_, "--set", "data.synthetic.tokens=1"}, 3, {"data"}},
      {{"validate", job_, "--set", "data.dataset=/nowhere"}, 3, {"data.dataset"}},
      {{"local", job_, "--state", folder_ / "used"}, 7, {"used", "not empty", "new folder"}},
      {{"local", job_, "--state", job_}, 7, {"tiny.yaml", "not a folder"}},
      {{"local", job_, "--state", job_ + "/s"}, 4, {"tiny.yaml", "cannot create"}},
      {{"describe", "--state", folder_ / "none"}, 4, {"none", "no state folder"}},
  });
}

TEST_F(CommandLine, NamesWhatIsWrongWithTheData) {
  const std::string out = folder_ / "set";
  Expect({
      {{"data", "build", "--to", out, folder_ / "none.txt"}, 4, {"none.txt"}},
      {{"data", "build", "--to", out, folder_.path()}, 3, {folder_.path()}},
      {{"data", "build", "--to", folder_ / "used", folder_ / "text.txt"}, 7, {"used"}},
      {{"data", "inspect", folder_ / "none"}, 4, {"none", "carousel data build"}},
      {{"data", "verify", folder_ / "used"}, 4, {"used", "carousel data build"}},
      {{"data", "baseline", folder_ / "none"}, 4, {"none"}},
  });
  EXPECT_FALSE(std::filesystem::exists(out));
}

TEST_F(CommandLine, SaysThatNoCoordinatorAnswers) {
  Expect({
      {{"get", "jobs", "--coordinator", "127.0.0.1:1"}, 5, {"127.0.0.1:1", "--coordinator"}},
      {{"--coordinator", "127.0.0.1:1", "pause", "tiny-1"}, 5, {"127.0.0.1:1"}},
  });
  setenv("CAROUSEL_COORDINATOR", "127.0.0.1:2", 1);
  Expect({{{"submit", job_}, 5, {"127.0.0.1:2", "CAROUSEL_COORDINATOR"}}});
}

TEST_F(CommandLine, HelpGoesToStdoutWithExamples) {
  for (const std::string verb :
       {"local", "validate", "submit", "watch", "wait", "get", "describe", "logs", "pause",
        "resume", "cancel", "eval", "generate", "data", "version"}) {
    const Finished result = RunCarousel({verb, "--help"});
    EXPECT_EQ(result.code, 0);
    EXPECT_NE(result.out.find("  carousel " + verb), std::string::npos) << result.out;
    EXPECT_EQ(result.err, "");
  }
}

TEST_F(CommandLine, SettingsDoNotSwallowTheFile) {
  const Finished result = RunCarousel(
      {"validate", "--set", "pipeline.stages=2", "--set", "steps=9", job_, "-o", "json"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.out.find("\"steps\":9"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("\"stages\":2"), std::string::npos) << result.out;
}

TEST_F(CommandLine, AReaderThatLeavesEndsItWithoutAWord) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  close(ends[0]);
  const Finished result = CarouselProcess({"validate", "--presets"}, ends[1]).Wait();
  close(ends[1]);
  EXPECT_EQ(result.code, 1);
  EXPECT_EQ(result.err, "");
}

TEST_F(CommandLine, OutputThatFindsNoRoomIsAnError) {
  const int full = open("/dev/full", O_WRONLY);
  ASSERT_GE(full, 0);
  const Finished result = CarouselProcess({"validate", "--presets"}, full).Wait();
  close(full);
  EXPECT_EQ(result.code, 1);
  EXPECT_NE(result.err.find("is the disk full?"), std::string::npos) << result.err;
}

TEST_F(CommandLine, ValidateSaysWhatGradientLeavesCost) {
  // 64 * 257 and more parameters, 4 bytes each; two leaves keep one further set of gradients.
  const auto summary = [&](const std::string& replicas) {
    const Finished result =
        RunCarousel({"validate", job_, "--set", "numerics.max_replicas=" + replicas, "-o", "json"});
    EXPECT_EQ(result.code, 0) << result.err;
    return nlohmann::json::parse(result.out, nullptr, false);
  };
  EXPECT_EQ(summary("1")["gradient_leaf_bytes"], 0);
  const nlohmann::json two = summary("2");
  EXPECT_EQ(two["gradient_leaves"], 2);
  EXPECT_EQ(two["gradient_leaf_bytes"], 4 * two["parameters"].get<int64_t>());
  EXPECT_NE(RunCarousel({"validate", job_, "--set", "numerics.max_replicas=2"})
                .out.find("KiB of further gradients over all stages"),
            std::string::npos);
}

TEST_F(CommandLine, PresetsAreListedWithTheirParameters) {
  const Finished result = RunCarousel({"validate", "--presets"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.out.find("6,865,424,896"), std::string::npos) << result.out;
}

TEST_F(CommandLine, BuildingADatasetTwiceIsBuildingItOnce) {
  const std::string out = folder_ / "set";
  const std::vector<std::string> build = {"data", "build", "--to", out, folder_ / "text.txt"};
  const Finished first = RunCarousel(build), second = RunCarousel(build);
  EXPECT_EQ(first.code, 0) << first.err;
  EXPECT_NE(first.out.find("built"), std::string::npos);
  EXPECT_EQ(second.code, 0) << second.err;
  EXPECT_NE(second.out.find("up to date"), std::string::npos);
  EXPECT_EQ(RunCarousel({"data", "verify", out}).code, 0);
  EXPECT_EQ(RunCarousel({"data", "build", "--to", out, job_}).code, 7);

  // One whose tokens are cut short is damaged, whoever looks at it.
  std::filesystem::resize_file(out + "/tokens.bin", 3);
  for (const std::string verb : {"inspect", "verify", "baseline"}) {
    EXPECT_EQ(RunCarousel({"data", verb, out}).code, 3) << verb;
  }
}

}  // namespace
}  // namespace carousel
