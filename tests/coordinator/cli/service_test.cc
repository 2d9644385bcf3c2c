// The verbs that talk to a coordinator, against a real one with real workers: what they print, in
// each format.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "cluster/job/yaml_document.h"
#include "tests/coordinator/server_testing.h"
#include "tests/crash/small_service.h"

namespace carousel {
namespace {

using nlohmann::json;

std::vector<json> Lines(const std::string& text) {
  std::vector<json> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    lines.push_back(json::parse(line, nullptr, false));
    EXPECT_FALSE(lines.back().is_discarded()) << line;
  }
  return lines;
}

// The documents of a YAML stream in which each begins with "---".
std::vector<YamlNode> Documents(const std::string& text) {
  std::vector<YamlNode> documents;
  for (size_t from = 0; from < text.size();) {
    size_t to = text.find("---\n", from + 1);
    while (to != text.npos && text[to - 1] != '\n') to = text.find("---\n", to + 1);
    to = std::min(to, text.size());
    Faults faults;
    std::optional<YamlNode> document = ParseYaml(text.substr(from, to - from), "stdout", &faults);
    EXPECT_TRUE(document.has_value()) << faults.ToStatus() << text.substr(from, to - from);
    documents.push_back(document.value_or(YamlNode()));
    from = to;
  }
  return documents;
}

bool Same(const YamlNode& yaml, const json& value) {
  if (value.is_string()) return yaml.quoted && yaml.text == value.get<std::string>();
  if (value.is_object()) {
    if (yaml.kind != YamlNode::Kind::kMap || yaml.entries.size() != value.size()) return false;
    return std::all_of(yaml.entries.begin(), yaml.entries.end(), [&](const YamlEntry& entry) {
      return value.contains(entry.key.text) && Same(entry.value, value[entry.key.text]);
    });
  }
  if (value.is_array()) {
    return yaml.kind == YamlNode::Kind::kSequence &&
           std::equal(yaml.items.begin(), yaml.items.end(), value.begin(), value.end(), Same);
  }
  if (value.is_null()) return yaml.kind == YamlNode::Kind::kNull;
  return !yaml.quoted && json::parse(yaml.text, nullptr, false) == value;
}

class Service : public testing::Test {
 protected:
  void SetUp() override {
    BuildTinyDataset(dataset_);
    service_.StartWorkers(1);
  }
  Finished Run(std::vector<std::string> words, const std::string& format) const {
    words.insert(words.end(), {"--coordinator", service_.address(), "-o", format});
    return RunToEnd(Carousel(words));
  }
  std::string Submitted(const std::string& steps) const {
    return Answer(Run({"submit", job_, "--steps", steps}, "json")).value("job", "none");
  }
  std::string Trained(const std::string& steps = "4") const {
    const std::string job = Submitted(steps);
    EXPECT_EQ(Run({"wait", job}, "table").code, 0);
    return job;
  }

  TemporaryFolder folder_;
  const std::string dataset_ = folder_ / "corpus";
  const std::string job_ = WriteTinyJob(folder_ / "tiny.yaml", "dataset: " + dataset_);
  SmallService service_;
};

TEST_F(Service, EveryVerbPrintsTheSameAsJsonAndAsYaml) {
  const std::string job = Trained();
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"get", "jobs"},
           {"get", "checkpoints", job},
           {"describe", job},
           {"wait", job},
           {"watch", job},
           {"logs", job},
           {"eval", job},
           {"generate", job, "--max-tokens", "5", "--prompt", "Sen"},
           {"version", "--server"}}) {
    SCOPED_TRACE(words[0]);
    const Finished as_json = Run(words, "json"), as_yaml = Run(words, "yaml");
    EXPECT_EQ(as_json.code, 0) << as_json.err;
    EXPECT_EQ(as_yaml.code, 0) << as_yaml.err;
    const std::vector<json> lines = Lines(as_json.out);
    const std::vector<YamlNode> documents = Documents(as_yaml.out);
    ASSERT_FALSE(lines.empty());
    ASSERT_EQ(documents.size(), lines.size()) << as_yaml.out;
    EXPECT_TRUE(std::equal(documents.begin(), documents.end(), lines.begin(), Same))
        << as_json.out << as_yaml.out;
    const Finished as_table = Run(words, "table");
    EXPECT_EQ(as_table.code, 0) << as_table.err;
    EXPECT_FALSE(as_table.out.empty());
    EXPECT_TRUE(json::parse(as_table.out, nullptr, false).is_discarded()) << as_table.out;
  }
}

TEST_F(Service, GeneratedPiecesMakeTheTextThatIsShown) {
  const std::vector<std::string> words = {"generate", Trained("100"),  "--max-tokens",
                                          "12",       "--temperature", "0",
                                          "--prompt", "Sentence "};
  // After so many steps it writes letters, which both forms show as they are.
  std::string text = "Sentence ";
  for (const json& piece : Lines(Run(words, "json").out)) text += piece["text"].get<std::string>();
  EXPECT_EQ(Run(words, "table").out, text + "\n");
}

TEST_F(Service, AnErrorStandsAloneAndItsHintFindsTheCoordinator) {
  const std::string job = Trained();
  for (const std::string verb : {"eval", "generate"}) {
    const Finished none = Run({verb, job, "--step", "5"}, "table");
    EXPECT_EQ(none.code, 4) << none.err;
    EXPECT_EQ(none.out, "");
    EXPECT_NE(none.err.find("of step 5"), std::string::npos) << none.err;
    EXPECT_NE(none.err.find(job + " --coordinator " + service_.address() + "`"), std::string::npos)
        << none.err;
  }
  const Finished prompted = Run({"generate", job, "--step", "5", "--prompt", "Once"}, "table");
  EXPECT_EQ(prompted.out, "");
  EXPECT_NE(Run({"eval", job, "--max-tokens", "65"}, "table").out.find("(--max-tokens 65)"),
            std::string::npos);
  Submitted("5");
  EXPECT_EQ(Run({"describe"}, "table").code, 2) << "which of two jobs?";
}

// A stop that comes to no step boundary, because of a worker that ignores it and then is lost or
// fails: text and exit code say which, and the document is printed in every case.
TEST(StoppingService, AStopThatComesToNoBoundaryPrintsTheJobAndSaysWhy) {
  TemporaryFolder folder;
  const std::string file = folder / "small.yaml";
  std::ofstream(file) << "name: small\n"
                         "model: {family: xlstm, vocab_size: 257, dim: 64, num_blocks: 2}\n"
                         "data: {synthetic: {seed: 1}, sequence_length: 128, batch_size: 4}\n"
                         "learning_rate: {peak: 1e-3}\n"
                         "steps: 100000\n";
  for (const std::string verb : {"pause", "cancel"}) {
    for (const bool fails : {false, true}) {
      SCOPED_TRACE(verb + (fails ? " of a job that fails" : " of a job that loses its worker"));
      SmallService service(SmallService::kLongLease);
      auto worker = std::make_unique<HandWorker>(service.address(), "w1", /*ignores_stop=*/true);
      const std::string job = service.Submit(file);
      ASSERT_TRUE(service.WaitForStep(job, 3)) << service.Describe(job);
      Program stop(Carousel({verb, job, "--coordinator", service.address(), "-o", "json"}));
      ASSERT_TRUE(service.WaitForState(job, verb == "pause" ? "pausing" : "cancelling"));

      if (fails) worker->Fail("disk full");
      if (!fails) worker.reset();

      const Finished finished = stop.Wait();
      EXPECT_EQ(finished.code, fails ? 100 : 1) << finished.err;
      const json shown = Answer(finished);
      EXPECT_EQ(shown["state"], fails ? "failed" : verb == "pause" ? "paused" : "cancelled");
      EXPECT_EQ(shown["cut_short"], true);
      const std::string why =
          fails ? "it failed on the way: stage 0 (worker w1): disk full; no checkpoint yet\n"
                : "it was cut short, and what ran after its checkpoint is lost: worker w1 was lost";
      EXPECT_NE(finished.err.find(why), std::string::npos) << finished.err;
      const int rests = fails ? 100 : verb == "pause" ? 104 : 103;
      EXPECT_EQ(service.Ask({"wait", job}).code, rests);
      EXPECT_EQ(service.Ask({"watch", job}).code, rests);
      const Finished again = service.Ask({"cancel", job});
      EXPECT_EQ(again.code, 1) << "still cut short";
      EXPECT_EQ(Answer(again)["state"], "cancelled");
    }
  }
}

TEST_F(Service, AResumeThatWaitsSaysWhatFor) {
  const std::string job = Submitted("2000");
  ASSERT_TRUE(service_.WaitForStep(job, 1));
  ASSERT_EQ(Run({"pause", job}, "json").code, 0);

  Program resume(
      Carousel({"resume", job, "--set", "pipeline.stages=2", "--coordinator", service_.address()}));
  EXPECT_TRUE(
      resume.WaitForErr("needs 2 workers, 1 is free (of 1 attached); start 1 more, or "
                        "resume it with pipeline.stages=1\n`carousel resume " +
                        job + " --coordinator " + service_.address() + " --set pipeline.stages=N`"))
      << resume.err();
  service_.StartWorker(1);
  EXPECT_EQ(resume.Wait().code, 0) << resume.err();
}

TEST_F(Service, AResumeWhoseTimeIsUpSaysThatTheJobStillWaitsAndAnotherOneHelps) {
  const std::string job = Submitted("2000");
  ASSERT_TRUE(service_.WaitForStep(job, 1));
  ASSERT_EQ(Run({"pause", job}, "json").code, 0);

  const Finished late =
      Run({"resume", job, "--set", "pipeline.stages=3", "--timeout", "1"}, "table");

  EXPECT_EQ(late.code, 6);
  EXPECT_EQ(late.err.rfind("carousel: after 1 s " + job + " is QUEUED: needs 3 workers", 0), 0)
      << late.err;
  EXPECT_NE(late.err.find("it stays in the queue"), std::string::npos) << late.err;
  const Finished later = Run({"resume", job, "--timeout", "6"}, "table");
  ASSERT_NE(later.err.find("needs 3 workers"), std::string::npos) << later.err;
  EXPECT_EQ(later.err.find("needs 3 workers"), later.err.rfind("needs 3 workers")) << later.err;
  EXPECT_NE(later.err.find("after 6 s " + job + " is still QUEUED"), std::string::npos)
      << later.err;
  const Finished wait = Run({"wait", job, "--timeout", "1"}, "table");
  EXPECT_EQ(wait.code, 6);
  EXPECT_NE(wait.err.find("still QUEUED, at step"), std::string::npos) << wait.err;
  EXPECT_NE(wait.err.find("needs 3 workers"), std::string::npos) << wait.err;
  const Finished resumed = Run({"resume", job, "--set", "pipeline.stages=1"}, "json");
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(Answer(resumed)["state"], "running");
}

TEST_F(Service, LogsShowWhatAWorkerSaid) {
  const std::string job = Trained();
  // After time and level: who speaks. It comes with the worker's next heartbeat.
  static constexpr std::string_view kTimeAndLevel = "2026-11-24T10:07:12.345Z INFO ";
  const auto said = [&] {
    const std::vector<json> entries = Lines(Run({"logs", job}, "json").out);
    return std::any_of(entries.begin(), entries.end(), [&](const json& entry) {
      return entry["line"].get<std::string>().find(" worker " + service_.WorkerId(0) + ": ") ==
             kTimeAndLevel.size();
    });
  };
  EXPECT_TRUE(Eventually(said)) << Run({"logs"}, "table").out;
}

TEST_F(Service, AJobWhoseDatasetMovedGoesOnFromWhereItIsSaidToLie) {
  // Given a job that is paused,
  const std::string job = Submitted("2000");
  ASSERT_TRUE(service_.WaitForStep(job, 3));
  ASSERT_EQ(Run({"pause", job}, "json").code, 0);
  std::filesystem::rename(dataset_, folder_ / "moved");

  // when it is resumed where its dataset is not, then that is refused, and the flag named;
  const Finished refused = Run({"resume", job}, "json");
  EXPECT_NE(refused.code, 0);
  EXPECT_NE(refused.err.find(dataset_), std::string::npos) << refused.err;
  EXPECT_NE(refused.err.find("--dataset"), std::string::npos) << refused.err;

  // when its place is named, then it goes on to its end.
  const Finished resumed = Run({"resume", job, "--dataset", folder_ / "moved"}, "json");
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(Answer(Run({"wait", job}, "json"))["state"], "done");
}

}  // namespace
}  // namespace carousel
