#include "cluster/data/dataset_manifest.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "tests/cluster/data/scratch.h"

namespace carousel {
namespace {

DatasetManifest Example() {
  DatasetManifest manifest;
  manifest.tokenizer = "byte";
  manifest.vocabulary = 257;
  manifest.tokens = 1000;
  manifest.documents = 3;
  manifest.empty_documents = 1;
  manifest.bin = {2000, std::string(32, 'a')};
  manifest.idx = {102, std::string(32, '0')};
  manifest.separator_token = 256;
  manifest.document_separator = "";
  manifest.text_field = "text";
  manifest.sources = {{"a.txt", "text", {900, std::string(32, '1')}, 2},
                      {"b.jsonl.zst", "jsonl.zst", {100, std::string(32, '2')}, 1}};
  manifest.held_out = {100, 5, 4};
  return manifest;
}

std::string Replaced(std::string text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(DatasetManifestTest, ComesBackAsItWas) {
  DatasetManifest manifest = Example();
  EXPECT_EQ(*ParseManifest(FormatManifest(manifest), "m"), manifest);

  manifest.document_separator.reset();
  EXPECT_EQ(*ParseManifest(FormatManifest(manifest), "m"), manifest);
}

TEST(DatasetManifestTest, AnyTokenizerCanBeNamed) {
  DatasetManifest manifest = Example();
  manifest.tokenizer = "EleutherAI/gpt-neox-20b";
  manifest.vocabulary = 50'277;
  for (const std::optional<int32_t> separator : {std::optional<int32_t>(), {0}, {50'276}}) {
    manifest.separator_token = separator;
    EXPECT_EQ(*ParseManifest(FormatManifest(manifest), "m"), manifest);
  }
  EXPECT_FALSE(manifest.tokens_are_bytes());
  EXPECT_TRUE(Example().tokens_are_bytes());
}

TEST(DatasetManifestTest, AManifestOfABuildWithoutImportsIsOneOfBytes) {
  const std::string json = Replaced(FormatManifest(Example()), "\"separator_token\": 256,", "");
  EXPECT_EQ(*ParseManifest(json, "m"), Example());
}

TEST(DatasetManifestTest, ShowsHowMuchIsHeldOut) {
  const std::string json = FormatManifest(Example());
  EXPECT_NE(json.find("\"blocks\": 2"), std::string::npos) << json;
  EXPECT_NE(json.find("\"tokens\": 200"), std::string::npos) << json;
}

TEST(DatasetManifestTest, APathThatIsNoUtf8CanStillBeWritten) {
  DatasetManifest manifest = Example();
  manifest.sources[0].path = "caf\xe9.txt";
  auto parsed = ParseManifest(FormatManifest(manifest), "m");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->sources[0].path, "caf\xef\xbf\xbd.txt");
}

TEST(DatasetManifestTest, KeysOfALaterBuildAreIgnored) {
  const std::string json = Replaced(FormatManifest(Example()), "{", "{\"colour\": \"blue\",");
  EXPECT_EQ(*ParseManifest(json, "m"), Example());
}

struct Mistake {
  const char* from;
  const char* to;
  const char* culprit;
  absl::StatusCode code = absl::StatusCode::kDataLoss;
};

TEST(DatasetManifestTest, EachMistakeIsNamed) {
  constexpr auto kOther = absl::StatusCode::kInvalidArgument;
  const Mistake mistakes[] = {
      {"\"carousel-dataset\"", "\"other\"", "format: expected \"carousel-dataset\"", kOther},
      {"\"format_version\": 1", "\"format_version\": 2", "format_version: is 2", kOther},
      {"\"format_version\": 1,", "", "format_version: is missing", kOther},
      {"\"vocabulary\": 257", "\"vocabulary\": 0", "vocabulary: is 0"},
      {"\"vocabulary\": 257", "\"vocabulary\": \"257\"", "vocabulary: is \"257\""},
      {"\"vocabulary\": 257", "\"vocabulary\": 257.5", "vocabulary: is 257.5"},
      {"\"tokens\": 1000", "\"tokens\": -1", "tokens: is -1"},
      {"\"tokens\": 1000", "\"tokens\": 18446744073709551615", "tokens: is 18446744073709551615"},
      {"\"documents\": 3", "\"documents\": 1001", "documents: is 1001"},
      {"\"tokenizer\": \"byte\",", "", "tokenizer: is missing"},
      {"\"tokenizer\": \"byte\"", "\"tokenizer\": \"\"", "tokenizer: expected a name"},
      {"\"tokenizer\": \"byte\"", "\"tokenizer\": \"a\\u001b[2J\"", "tokenizer: expected a name"},
      {"\"vocabulary\": 257", "\"vocabulary\": 258", "vocabulary: is 258, but that of"},
      {"\"separator_token\": 256", "\"separator_token\": 255", "separator token: is 255, but"},
      {"\"separator_token\": 256", "\"separator_token\": null", "separator token: is none, but"},
      {"\"separator_token\": 256", "\"separator_token\": 257", "separator_token: is 257"},
      {"\"tokens.bin\"", "\"tokens.ban\"", "files.tokens.bin: is missing"},
      {"\"bytes\": 2000", "\"bytes\": null", "files.tokens.bin.bytes: is null"},
      {"aaaa", "AAAA", "files.tokens.bin.xxh3_128"},
      {"00000000", "", "files.tokens.idx.xxh3_128"},
      {"\"every\": 5", "\"every\": 1", "held_out.every: is 1"},
      {"\"first\": 4", "\"first\": 5", "held_out.first: is 5"},
      {"\"every\": 5", "\"every\": 1073741825", "held_out.every: is 1073741825"},
      {"\"block_tokens\": 100", "\"block_tokens\": 0", "held_out.block_tokens: is 0"},
      {"\"block_tokens\": 100", "\"block_tokens\": 1073741825",
       "held_out.block_tokens: is 1073741825, expected a whole number from 1 to 1073741824"},
      {"\"block_tokens\": 100", "\"block_tokens\": 72057594037927936",
       "held_out.block_tokens: is 72"},
      {"\"documents\": 2", "\"documents\": -2", "sources[0].documents: is -2"},
      {"\"path\": \"b.jsonl.zst\"", "\"path\": 3", "sources[1].path: is 3"},
      {"\"sources\"", "\"saucers\"", "sources: is missing"},
  };
  for (const Mistake& mistake : mistakes) {
    const std::string json = Replaced(FormatManifest(Example()), mistake.from, mistake.to);
    ExpectError(ParseManifest(json, "folder/manifest.json").status(), mistake.code,
                {"folder/manifest.json: ", mistake.culprit});
  }
}

TEST(DatasetManifestTest, WhatIsNoJsonObjectIsRefused) {
  const std::string whole = FormatManifest(Example());
  for (const std::string& text :
       {std::string(), std::string("[]"), std::string("x"), whole.substr(0, whole.size() / 2)}) {
    ExpectError(ParseManifest(text, "m").status(), absl::StatusCode::kDataLoss,
                {"m: is not a JSON object"});
  }
}

// Neither the parser's stack nor that of whoever shows the value may follow a hostile depth.
TEST(DatasetManifestTest, DepthIsLimited) {
  for (const size_t depth : {size_t{20}, size_t{3'000'000}}) {
    const std::string deep = std::string(depth, '[') + std::string(depth, ']');
    const std::string json =
        Replaced(FormatManifest(Example()), "\"vocabulary\": 257", "\"vocabulary\": " + deep);
    ExpectError(ParseManifest(json, "m").status(), absl::StatusCode::kDataLoss, {"m: ", "nested"});
  }
}

TEST(DatasetManifestTest, ManyUnknownKeysDoNotHoldItUp) {
  std::string keys = "{";
  for (int i = 0; i < 300'000; ++i) keys += "\"key " + std::to_string(i) + "\":0,";
  EXPECT_EQ(*ParseManifest(Replaced(FormatManifest(Example()), "{", keys), "m"), Example());
}

TEST(DatasetManifestTest, AFolderWithoutOneIsNoDataset) {
  ExpectError(ReadManifest(ScratchFolder()).status(), absl::StatusCode::kNotFound,
              {"no dataset there", "carousel data build"});
}

TEST(DatasetManifestTest, ATextInPlaceOfAFolderIsToldHowToBecomeOne) {
  const std::string text = WriteText(ScratchFolder() + "/a.txt", "some text");
  ExpectError(ReadManifest(text).status(), absl::StatusCode::kNotFound,
              {text + ": is a file", "carousel data build --to DIR " + text});
}

}  // namespace
}  // namespace carousel
