// Tokens that another program made, through the real binaries: imported, looked at, trained on,
// evaluated; and what only bytes have is refused or left out by name.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cluster/data/indexed_writer.h"
#include "tests/coordinator/cli/carousel_process.h"

namespace carousel {
namespace {

using nlohmann::json;

constexpr int32_t kVocabulary = 700;
constexpr int32_t kSeparator = 3;

// Documents of 40 to 139 tokens that count upwards in steps of seven, each closed by the separator.
void WritePair(const std::string& prefix, TokenType type) {
  auto writer = IndexedWriter::Create(prefix, type);
  ASSERT_TRUE(writer.ok()) << writer.status();
  for (int document = 0; document < 60; ++document) {
    std::vector<int32_t> tokens;
    for (int i = 0; i < 40 + document * 37 % 100; ++i) {
      tokens.push_back(4 + (document + 7 * i) % (kVocabulary - 4));
    }
    tokens.push_back(kSeparator);
    ASSERT_TRUE(writer->Append(tokens).ok());
    ASSERT_TRUE(writer->EndDocument().ok());
  }
  ASSERT_TRUE(writer->Finish().ok());
}

std::string WriteJob(const std::string& path, int vocabulary) {
  std::ofstream(path) << "name: tiny\n"
                         "model: {family: xlstm, vocab_size: "
                      << vocabulary
                      << ", dim: 64, num_blocks: 2, num_heads: 2}\n"
                         "data: {dataset: given by the test, sequence_length: 64, batch_size: 4}\n"
                         "learning_rate: {peak: 1e-3}\n"
                         "steps: 3\n"
                         "numerics: {micro_batch_size: 2, chunk_length: 32}\n";
  return path;
}

class DataImport : public testing::Test {
 protected:
  std::vector<std::string> Command(const std::string& prefix, const std::string& set,
                                   const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words = {
        "data", "import", folder_ / prefix,   "--to", folder_ / set, "--vocabulary", "700",
        "-o",   "json",   "--held-out-block", "512"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  static json Result(const Finished& finished) {
    EXPECT_EQ(finished.code, 0) << finished.err;
    return json::parse(finished.out, nullptr, false);
  }
  static void ExpectSaid(const Finished& finished, int code, const std::string& text) {
    EXPECT_EQ(finished.code, code) << finished.err;
    EXPECT_NE(finished.err.find(text), std::string::npos) << text << " is not in:\n"
                                                          << finished.err;
  }

  TemporaryFolder folder_;
};

TEST_F(DataImport, ImportedTokensAreTrainedOnAndEvaluated) {
  // Given the same tokens in 16 and in 32 bits,
  WritePair(folder_ / "narrow", TokenType::kUint16);
  WritePair(folder_ / "wide", TokenType::kInt32);

  // when both are imported, one as a copy, one as a link,
  const json narrow = Result(RunCarousel(Command("narrow", "set-narrow", {"--separator", "3"})));
  const json wide = Result(RunCarousel(Command("wide", "set-wide", {"--link"})));

  // then both say so, and are whole;
  EXPECT_EQ(narrow["imported"], "copied");
  EXPECT_EQ(wide["imported"], "linked");
  EXPECT_EQ(narrow["tokens"], wide["tokens"]);
  EXPECT_EQ(wide["documents"], 60);
  EXPECT_EQ(wide["held_out_tokens"], 512);
  EXPECT_EQ(RunCarousel({"data", "verify", folder_ / "set-narrow"}).code, 0);
  EXPECT_EQ(RunCarousel({"data", "verify", folder_ / "set-wide"}).code, 0);
  const json seen = Result(RunCarousel({"data", "inspect", folder_ / "set-narrow", "-o", "json"}));
  EXPECT_EQ(seen["tokens_are_bytes"], false);
  EXPECT_EQ(seen["separator_token"], kSeparator);
  EXPECT_EQ(seen["sample_tokens"][1], 11);

  // when a model is trained on either, then it comes to the same loss, bit for bit;
  const std::string job = WriteJob(folder_ / "tiny.yaml", 704);
  std::vector<double> losses;
  for (const std::string set : {"set-narrow", "set-wide"}) {
    const json run =
        Result(RunCarousel({"local", job, "--workers", "2", "--state", folder_ / ("state-" + set),
                            "--set", "data.dataset=" + (folder_ / set), "-o", "json"}));
    EXPECT_EQ(run["state"], "done");
    losses.push_back(run["loss"]);
  }
  EXPECT_EQ(losses[0], losses[1]);

  // and its loss on what was held out is told, without the bits per byte that nobody knows,
  const Finished evaluated =
      RunCarousel({"eval", "--state", folder_ / "state-set-wide", "-o", "json"});
  const json figures = Result(evaluated);
  EXPECT_GT(figures["perplexity"], 1);
  EXPECT_FALSE(figures.contains("bits_per_byte")) << evaluated.out;
  EXPECT_NE(RunCarousel({"eval", "--state", folder_ / "state-set-wide"}).out.find("not known"),
            std::string::npos);
  // and text cannot be had.
  ExpectSaid(RunCarousel({"generate", "--state", folder_ / "state-set-wide"}), 7, "not bytes");
}

TEST_F(DataImport, WhatCannotBeIsRefusedByName) {
  WritePair(folder_ / "pair", TokenType::kUint16);

  // A vocabulary that is too small, a separator that is none, a pair that is not there.
  ExpectSaid(RunCarousel(Command("pair", "set", {"--separator", "5"})), 3, "not the separator 5");
  std::vector<std::string> small = Command("pair", "set");
  small[6] = "500";
  ExpectSaid(RunCarousel(small), 3, "not in the vocabulary of 500");
  ExpectSaid(RunCarousel(Command("none", "set")), 4, "none.bin");
  ExpectSaid(RunCarousel(Command("pair.idx", "set")), 2, "without .bin or .idx");
  ExpectSaid(RunCarousel(Command("pair", "set", {"--separator", "700"})), 2, "--separator 700");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "set"));

  // Byte n-grams of no bytes; a model with too few tokens; a second import.
  ASSERT_EQ(RunCarousel(Command("pair", "set")).code, 0);
  ExpectSaid(RunCarousel({"data", "baseline", folder_ / "set"}), 7, "not bytes");
  ExpectSaid(RunCarousel({"validate", WriteJob(folder_ / "small.yaml", 600), "--set",
                          "data.dataset=" + (folder_ / "set")}),
             3, "model.vocab_size: 600 is below the dataset's vocabulary, 700");
  ExpectSaid(RunCarousel(Command("pair", "set")), 7, "already exists");
}

}  // namespace
}  // namespace carousel
