#include "cluster/data/synthetic_corpus.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "cluster/data/content_hash.h"
#include "cluster/data/data_limits.h"
#include "cluster/data/ngram.h"
#include "cluster/data/tokenizer.h"
#include "tests/cluster/data/scratch.h"

namespace carousel {
namespace {

std::unique_ptr<SyntheticCorpus> Corpus(int64_t seed, int64_t tokens, int64_t mean) {
  auto corpus = SyntheticCorpus::Create(seed, tokens, mean);
  EXPECT_TRUE(corpus.ok()) << corpus.status();
  return *std::move(corpus);
}

std::vector<int32_t> ReadAll(const SyntheticCorpus& corpus) {
  std::vector<int32_t> tokens(static_cast<size_t>(corpus.token_count()));
  EXPECT_TRUE(corpus.Read(0, corpus.token_count(), tokens.data()).ok());
  return tokens;
}

std::string HashOf(const SyntheticCorpus& corpus) {
  std::string bytes;
  for (int32_t token : ReadAll(corpus)) {
    bytes += static_cast<char>(token & 255);
    bytes += static_cast<char>(token >> 8);
  }
  return ContentHash(bytes);
}

// Part of the data contract: every build on every machine makes the same corpus.
TEST(SyntheticCorpusTest, KeepsItsBytesForever) {
  EXPECT_EQ(HashOf(*Corpus(1, 100000, 500)), "422eb5271c220e362c05674365dcf3f9");
}

TEST(SyntheticCorpusTest, DependsOnItsSeed) {
  EXPECT_NE(HashOf(*Corpus(1, 10000, 500)), HashOf(*Corpus(2, 10000, 500)));
}

TEST(SyntheticCorpusTest, AReadAnywhereGivesTheSameTokens) {
  const auto corpus = Corpus(3, 5000, 70);
  const auto all = ReadAll(*corpus);

  for (int64_t first = 0; first < 5000; first += 37) {
    for (int64_t count : {int64_t{0}, int64_t{1}, int64_t{300}}) {
      count = std::min(count, 5000 - first);
      std::vector<int32_t> part(static_cast<size_t>(count));
      ASSERT_TRUE(corpus->Read(first, count, part.data()).ok());
      ASSERT_EQ(part, std::vector<int32_t>(all.begin() + first, all.begin() + first + count));
    }
  }
}

TEST(SyntheticCorpusTest, DocumentsEndWithASeparatorAndNowhereElse) {
  for (int64_t mean : {2, 3, 5, 100, 3000, 1000000}) {
    const auto corpus = Corpus(4, 10000, mean);
    const auto tokens = ReadAll(*corpus);

    std::vector<int64_t> expected = {0};
    for (int64_t i = 0; i + 1 < 10000; ++i) {
      if (tokens[i] == ByteTokenizer::kSeparator) expected.push_back(i + 1);
    }
    std::vector<int64_t> starts;
    ASSERT_TRUE(corpus->AppendDocumentStarts(0, 10000, &starts).ok());
    EXPECT_EQ(starts, expected) << mean;
    EXPECT_EQ(tokens.back(), ByteTokenizer::kSeparator);
    EXPECT_EQ(corpus->document_count(), static_cast<int64_t>(starts.size()));
    EXPECT_NEAR(static_cast<double>(starts.size()), std::max(1.0, 10000.0 / mean), 2) << mean;
  }
}

TEST(SyntheticCorpusTest, FindsTheDocumentsOfAnyRange) {
  const auto corpus = Corpus(4, 2000, 30);
  std::vector<int64_t> all;
  ASSERT_TRUE(corpus->AppendDocumentStarts(0, 2000, &all).ok());

  for (int64_t first = 0; first < 2000; first += 7) {
    std::vector<int64_t> expected, found;
    for (int64_t start : all) {
      if (start >= first && start < first + 50) expected.push_back(start);
    }
    ASSERT_TRUE(corpus->AppendDocumentStarts(first, first + 50, &found).ok());
    ASSERT_EQ(found, expected);
  }
}

// A corpus on which a smoke test's loss falls: letters alone say little, what went before says
// much.
TEST(SyntheticCorpusTest, IsLearnable) {
  const auto corpus = Corpus(1, 400000, 1000);
  const auto baselines =
      MeasureNgramBaselines(CorpusPart(corpus.get(), corpus->held_out(), CorpusSide::kTraining),
                            CorpusPart(corpus.get(), corpus->held_out(), CorpusSide::kHeldOut), {});

  ASSERT_TRUE(baselines.ok()) << baselines.status();
  EXPECT_GT(baselines->unigram_bits_per_byte, 3.5);
  EXPECT_LT(baselines->bigram_bits_per_byte, baselines->unigram_bits_per_byte - 0.7);
  EXPECT_LT(baselines->trigram_bits_per_byte, baselines->bigram_bits_per_byte - 0.5);
}

TEST(SyntheticCorpusTest, ACorpusLargerThanMemoryIsReadAtItsEnd) {
  const auto corpus = Corpus(9, kMaxSyntheticTokens, int64_t{1} << 35);

  int32_t tokens[8];
  ASSERT_TRUE(corpus->Read(kMaxSyntheticTokens - 8, 8, tokens).ok());
  EXPECT_EQ(tokens[7], ByteTokenizer::kSeparator);
}

TEST(SyntheticCorpusTest, RefusesWhatItCannotMakeByFieldName) {
  using absl::StatusCode;
  ExpectError(SyntheticCorpus::Create(1, 1, 10).status(), StatusCode::kInvalidArgument,
              {"data.synthetic.tokens", "is 1"});
  ExpectError(SyntheticCorpus::Create(1, -5, 10).status(), StatusCode::kInvalidArgument,
              {"data.synthetic.tokens", "is -5"});
  ExpectError(SyntheticCorpus::Create(1, kMaxSyntheticTokens + 1, 10).status(),
              StatusCode::kInvalidArgument, {"data.synthetic.tokens"});
  ExpectError(SyntheticCorpus::Create(1, 10, 1).status(), StatusCode::kInvalidArgument,
              {"data.synthetic.mean_document_length", "is 1"});
}

}  // namespace
}  // namespace carousel
