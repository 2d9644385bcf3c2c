#include "cluster/data/dataset.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "cluster/data/builder.h"
#include "proto/job.pb.h"
#include "tests/cluster/data/scratch.h"

namespace carousel {
namespace {

using absl::StatusCode;

std::string BuiltFolder(std::string_view text = "some text to train on") {
  const std::string folder = ScratchFolder();
  BuildOptions options;
  options.inputs = {WriteText(folder + "/a.txt", text)};
  options.output = folder + "/set";
  options.held_out_block_tokens = 4;
  EXPECT_TRUE(BuildDataset(options).ok());
  return options.output;
}

void Edit(const std::string& path, std::string_view from, std::string_view to) {
  std::string content = ReadText(path);
  const size_t at = content.find(from);
  ASSERT_NE(at, std::string::npos);
  WriteText(path, content.replace(at, from.size(), to));
}

TEST(DatasetTest, OpensWhatWasBuilt) {
  const auto dataset = Dataset::OpenFolder(BuiltFolder());

  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ((*dataset)->source().token_count(), 22);
  EXPECT_EQ((*dataset)->vocabulary(), 257);
  EXPECT_EQ((*dataset)->Part(CorpusSide::kHeldOut).token_count(), 4);
  EXPECT_EQ((*dataset)->Part(CorpusSide::kTraining).token_count(), 18);
}

TEST(DatasetTest, AFileOfAnotherSizeIsNamed) {
  const std::string folder = BuiltFolder();
  std::filesystem::resize_file(folder + "/tokens.bin", 10);
  ExpectError(Dataset::OpenFolder(folder).status(), StatusCode::kDataLoss,
              {"tokens.bin", "has 10 bytes, its manifest says 44"});
}

TEST(DatasetTest, ADamagedFileOfABuiltDatasetIsDataLossWhateverIsWrongWithIt) {
  const std::string folder = BuiltFolder();
  for (const std::string name : {"tokens.idx", "manifest.json"}) {
    const std::string good = ReadText(folder + "/" + name);
    for (const std::string& bad : {good.substr(0, good.size() / 2), "x" + good.substr(1)}) {
      WriteText(folder + "/" + name, bad);
      ExpectError(Dataset::OpenFolder(folder).status(), StatusCode::kDataLoss, {name});
    }
    WriteText(folder + "/" + name, good);
  }
}

TEST(DatasetTest, AJobIsToldHowToFindTheDamage) {
  const std::string folder = BuiltFolder();
  std::filesystem::resize_file(folder + "/tokens.bin", 10);
  DataSpec spec;
  spec.set_dataset(folder);
  ExpectError(Dataset::Open(spec).status(), StatusCode::kDataLoss,
              {"data.dataset: ", "tokens.bin", "`carousel data verify " + folder + "`"});
}

TEST(DatasetTest, AnIndexOfAnotherBuildIsNamed) {
  const std::string folder = BuiltFolder();
  Edit(folder + "/manifest.json", ReadManifest(folder)->idx.xxh3_128, std::string(32, '0'));
  ExpectError(Dataset::OpenFolder(folder).status(), StatusCode::kDataLoss,
              {"tokens.idx", "its hash is"});
}

TEST(DatasetTest, AMissingFileIsNamed) {
  const std::string folder = BuiltFolder();
  std::filesystem::remove(folder + "/tokens.idx");
  ExpectError(Dataset::OpenFolder(folder).status(), StatusCode::kNotFound, {"tokens.idx"});
}

TEST(DatasetTest, CountsThatDisagreeAreNamed) {
  const std::string folder = BuiltFolder();
  Edit(folder + "/manifest.json", "\"tokens\": 22", "\"tokens\": 21");
  ExpectError(Dataset::OpenFolder(folder).status(), StatusCode::kDataLoss,
              {"manifest.json", "tokens: is 21", "22"});
}

TEST(DatasetTest, AnotherTokenizerIsOpenedAndIsNotOneOfBytes) {
  const std::string folder = BuiltFolder();
  const std::string hash = (*Dataset::OpenFolder(folder))->content_hash();
  DataSpec spec;
  spec.set_dataset(folder);
  EXPECT_TRUE(CheckTokensAreBytes(spec).ok());

  Edit(folder + "/manifest.json", "\"byte\"", "\"gpt2\"");
  Edit(folder + "/manifest.json", "\"vocabulary\": 257", "\"vocabulary\": 50257");

  const auto dataset = Dataset::OpenFolder(folder);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ((*dataset)->vocabulary(), 50257);
  EXPECT_FALSE((*dataset)->tokens_are_bytes());
  EXPECT_NE((*dataset)->content_hash(), hash);
  ExpectError(CheckTokensAreBytes(spec), StatusCode::kFailedPrecondition,
              {"data.dataset: ", folder, "\"gpt2\"", "not bytes"});
}

TEST(DatasetTest, WhereThereIsNoDatasetNobodyKnowsWhetherTokensAreBytes) {
  const std::string folder = BuiltFolder();
  DataSpec spec;
  spec.set_dataset(folder + "/gone");
  ExpectError(CheckTokensAreBytes(spec), StatusCode::kFailedPrecondition,
              {"data.dataset: ", folder, "no longer there", "--dataset DIR"});
}

// A position that overflows 64 bits came out of this rule, and then a division by zero.
TEST(DatasetTest, AHeldOutRuleBeyondItsLimitsIsRefused) {
  const std::string folder = BuiltFolder();
  Edit(folder + "/manifest.json", "\"block_tokens\": 4", "\"block_tokens\": 72057594037927936");
  Edit(folder + "/manifest.json", "\"every\": 50", "\"every\": 257");
  Edit(folder + "/manifest.json", "\"first\": 4", "\"first\": 256");

  ExpectError(Dataset::OpenFolder(folder).status(), StatusCode::kDataLoss,
              {"manifest.json", "held_out.block_tokens: is 72057594037927936"});
}

// Reads all that a dataset has, if it can be opened; what matters is that this returns.
void ReadIfItOpens(const std::string& folder) {
  const auto dataset = Dataset::OpenFolder(folder);
  if (!dataset.ok()) return;
  for (const CorpusSide side : {CorpusSide::kTraining, CorpusSide::kHeldOut}) {
    const CorpusPart part = (*dataset)->Part(side);
    std::vector<int32_t> tokens(static_cast<size_t>(part.token_count()));
    std::vector<uint8_t> starts(tokens.size());
    (void)part.Read(0, part.token_count(), tokens.data(), starts.data());
  }
}

TEST(DatasetTest, NoByteOfAManifestCanCrashItsReader) {
  const std::string folder = BuiltFolder("0123456789");
  const std::string path = folder + "/manifest.json";
  const std::string good = ReadText(path);
  const DatasetManifest built = *ReadManifest(folder);
  for (size_t i = 0; i < good.size(); ++i) {
    for (const char byte : {'0', '9', '-', 'e', '"', '{', '\0', '\xff'}) {
      std::string bad = good;
      bad[i] = byte;
      const auto manifest = ParseManifest(bad, path);
      const bool has_other_numbers = manifest.ok() && (manifest->held_out != built.held_out ||
                                                       manifest->vocabulary != built.vocabulary ||
                                                       manifest->tokens != built.tokens);
      if (!has_other_numbers) continue;
      WriteText(path, bad);
      ReadIfItOpens(folder);
    }
  }
}

TEST(DatasetTest, WhatABuildLeftUnfinishedIsNoDataset) {
  const std::string folder = ScratchFolder();
  WriteText(folder + "/tokens.bin", "half");
  ExpectError(Dataset::OpenFolder(folder).status(), StatusCode::kNotFound, {"no dataset there"});
}

TEST(DatasetTest, TheContentHashStandsForTheTokensAndTheSplitOnly) {
  const std::string folder = BuiltFolder();
  const std::string hash = (*Dataset::OpenFolder(folder))->content_hash();
  EXPECT_EQ(hash.size(), 32u);

  std::filesystem::rename(folder, folder + "2");
  EXPECT_EQ((*Dataset::OpenFolder(folder + "2"))->content_hash(), hash);

  Edit(folder + "2/manifest.json", "\"every\": 50", "\"every\": 49");
  EXPECT_NE((*Dataset::OpenFolder(folder + "2"))->content_hash(), hash);
}

TEST(DatasetTest, AJobNamesAFolderOrTheSyntheticCorpus) {
  DataSpec spec;
  ExpectError(Dataset::Open(spec).status(), StatusCode::kInvalidArgument, {"neither"});

  spec.set_dataset(BuiltFolder());
  EXPECT_TRUE(Dataset::Open(spec).ok());

  spec.mutable_synthetic()->set_tokens(100000);
  spec.mutable_synthetic()->set_mean_document_length(100);
  ExpectError(Dataset::Open(spec).status(), StatusCode::kInvalidArgument, {"both"});

  spec.clear_dataset();
  const auto synthetic = Dataset::Open(spec);
  ASSERT_TRUE(synthetic.ok()) << synthetic.status();
  EXPECT_EQ((*synthetic)->source().token_count(), 100000);
  EXPECT_GT((*synthetic)->Part(CorpusSide::kHeldOut).token_count(), 4000);
  EXPECT_FALSE((*synthetic)->manifest().has_value());
}

TEST(DatasetTest, ErrorsNameTheJobsField) {
  DataSpec spec;
  spec.set_dataset("/nowhere/set");
  ExpectError(Dataset::Open(spec).status(), StatusCode::kNotFound,
              {"data.dataset: /nowhere/set: no dataset there"});
}

}  // namespace
}  // namespace carousel
