#include "cluster/data/dataset_report.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <numeric>
#include <string>

#include "cluster/data/builder.h"
#include "cluster/data/content_hash.h"
#include "tests/cluster/data/scratch.h"

namespace carousel {
namespace {

std::string BuiltFolder() {
  const std::string folder = ScratchFolder();
  BuildOptions options;
  options.inputs = {WriteText(folder + "/a.txt", "one\n\nthree four\n\nsix\x1b[31m\n")};
  options.document_separator = "";
  options.output = folder + "/set";
  options.held_out_block_tokens = 4;
  EXPECT_TRUE(BuildDataset(options).ok());
  return options.output;
}

std::string OnlyProblem(const std::string& folder) {
  const auto report = VerifyDataset(folder, {});
  EXPECT_TRUE(report.ok()) << report.status();
  if (!report.ok() || report->problems.size() != 1) {
    ADD_FAILURE() << "expected one problem, found " << (report.ok() ? report->problems.size() : 0);
    return "";
  }
  return report->problems[0];
}

// Puts `content` into tokens.bin as if it had been built so: the manifest agrees.
void ForgeTokens(const std::string& folder, const std::string& content) {
  const std::string old_hash = ContentHash(ReadText(folder + "/tokens.bin"));
  std::string manifest = ReadText(folder + "/manifest.json");
  manifest.replace(manifest.find(old_hash), 32, ContentHash(content));
  WriteText(folder + "/manifest.json", manifest);
  WriteText(folder + "/tokens.bin", content);
}

TEST(VerifyDatasetTest, AnUnharmedDatasetHasNoProblems) {
  const auto report = VerifyDataset(BuiltFolder(), {});

  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_TRUE(report->problems.empty());
  EXPECT_GT(report->bytes_checked, 100);
}

TEST(VerifyDatasetTest, FindsASingleFlippedBitAnywhereInTheFiles) {
  const std::string folder = BuiltFolder();
  for (const std::string name : {"tokens.bin", "tokens.idx"}) {
    const std::string good = ReadText(folder + "/" + name);
    for (size_t i = 0; i < good.size(); ++i) {
      std::string bad = good;
      bad[i] = static_cast<char>(bad[i] ^ 4);
      WriteText(folder + "/" + name, bad);

      const auto report = VerifyDataset(folder, {});

      ASSERT_TRUE(report.ok());
      ASSERT_FALSE(report->problems.empty()) << name << " byte " << i;
      EXPECT_NE(report->problems[0].find(name), std::string::npos);
      EXPECT_NE(report->problems[0].find("its hash is"), std::string::npos);
    }
    WriteText(folder + "/" + name, good);
  }
}

TEST(VerifyDatasetTest, AFileCutShortIsNamed) {
  const std::string folder = BuiltFolder();
  std::filesystem::resize_file(folder + "/tokens.bin", 8);
  EXPECT_NE(OnlyProblem(folder).find("tokens.bin: has 8 bytes"), std::string::npos);
}

TEST(VerifyDatasetTest, AMissingFileIsAProblemAndAMissingDatasetAnError) {
  const std::string folder = BuiltFolder();
  std::filesystem::remove(folder + "/tokens.bin");
  EXPECT_NE(OnlyProblem(folder).find("tokens.bin"), std::string::npos);

  ExpectError(VerifyDataset(folder + "/none", {}).status(), absl::StatusCode::kNotFound,
              {"no dataset there"});
}

TEST(VerifyDatasetTest, ADamagedManifestIsAProblem) {
  const std::string folder = BuiltFolder();
  WriteText(folder + "/manifest.json", "{}");
  EXPECT_NE(OnlyProblem(folder).find("manifest.json: format"), std::string::npos);
}

TEST(VerifyDatasetTest, HashesThatAgreeDoNotExcuseBadTokens) {
  const std::string folder = BuiltFolder();
  std::string tokens = ReadText(folder + "/tokens.bin");
  tokens[1] = 2;  // 'o' + 512
  ForgeTokens(folder, tokens);
  EXPECT_NE(OnlyProblem(folder).find("token 0 is 623, not in the vocabulary of 257"),
            std::string::npos);
}

TEST(VerifyDatasetTest, SeparatorsAndDocumentsMustAgree) {
  const std::string folder = BuiltFolder();
  const std::string good = ReadText(folder + "/tokens.bin");  // "one\n|three…": separator at 4
  std::string tokens = good;
  tokens[2 * 4 + 1] = 0;
  ForgeTokens(folder, tokens);
  EXPECT_NE(OnlyProblem(folder).find("token 4 ends a document but is 0, not the separator 256"),
            std::string::npos);

  tokens = good;
  tokens[2 * 1] = 0;
  tokens[2 * 1 + 1] = 1;
  ForgeTokens(folder, tokens);
  EXPECT_NE(OnlyProblem(folder).find("token 1 is a separator within a document"),
            std::string::npos);

  tokens = good;
  tokens[tokens.size() - 1] = 0;
  ForgeTokens(folder, tokens);
  EXPECT_NE(OnlyProblem(folder).find("ends a document but is 0, not the separator 256"),
            std::string::npos);
}

TEST(VerifyDatasetTest, ProgressReachesItsTotalAndCanStop) {
  const std::string folder = BuiltFolder();
  const auto manifest = ReadManifest(folder);
  int64_t last = 0;
  const auto report = VerifyDataset(folder, [&](int64_t done) {
    EXPECT_GE(done, last);
    last = done;
    return true;
  });
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(last, 2 * manifest->bin.bytes + manifest->idx.bytes);
  EXPECT_EQ(report->bytes_checked, last);

  ExpectError(VerifyDataset(folder, [](int64_t) { return false; }).status(),
              absl::StatusCode::kCancelled, {"stopped"});
}

TEST(InspectDatasetTest, CountsAndShowsTheText) {
  const auto summary = InspectDataset(BuiltFolder());

  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->manifest.documents, 3);
  EXPECT_EQ(summary->documents.count, 3);
  EXPECT_EQ(summary->documents.shortest, 5);  // "one\n" and its separator
  EXPECT_EQ(summary->documents.longest, 12);  // "three four\n"
  EXPECT_NEAR(summary->documents.mean, 27 / 3.0, 1e-12);
  EXPECT_EQ(summary->documents.histogram[2], 1);  // 4 to 7 tokens
  EXPECT_EQ(summary->documents.histogram[3], 2);  // 8 to 15
  EXPECT_EQ(summary->training_tokens + summary->held_out_tokens, summary->manifest.tokens);
  EXPECT_EQ(summary->sample, "one\nthree four\nsix\\x1b[31m\n");
  EXPECT_EQ(summary->content_hash.size(), 32u);
}

TEST(InspectDatasetTest, WarnsThatNothingIsHeldOut) {
  const std::string folder = ScratchFolder();
  BuildOptions options;
  options.inputs = {WriteText(folder + "/a.txt", std::string(999, 'a'))};
  options.output = folder + "/set";
  ASSERT_TRUE(BuildDataset(options).ok());

  EXPECT_EQ(InspectDataset(options.output)->warning,
            "nothing is held out, so `carousel eval` will have nothing to judge a model by: 1,000 "
            "tokens are fewer than two blocks of 65536; make the dataset with --held-out-block "
            "100, or more text");
  EXPECT_EQ(InspectDataset(BuiltFolder())->warning, "");
}

TEST(InspectDatasetTest, TheSampleHasTheLengthAskedFor) {
  EXPECT_EQ(InspectDataset(BuiltFolder(), 3)->sample, "one");
  EXPECT_EQ(InspectDataset(BuiltFolder(), 0)->sample, "");
}

}  // namespace
}  // namespace carousel
