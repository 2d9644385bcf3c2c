#include "cluster/data/indexed_dataset.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "cluster/data/indexed_writer.h"
#include "tests/cluster/data/scratch.h"

namespace carousel {
namespace {

using Tokens = std::vector<int32_t>;

constexpr int64_t kVocabulary = 257;

void Write(const std::string& prefix, TokenType type, const std::vector<Tokens>& documents,
           int64_t max_sequence_tokens = kMaxSequenceTokens) {
  auto writer = IndexedWriter::Create(prefix, type, max_sequence_tokens);
  ASSERT_TRUE(writer.ok()) << writer.status();
  for (const Tokens& document : documents) {
    ASSERT_TRUE(writer->Append(document).ok());
    ASSERT_TRUE(writer->EndDocument().ok());
  }
  ASSERT_TRUE(writer->Finish().ok());
}

std::unique_ptr<IndexedDataset> Open(const std::string& prefix) {
  auto dataset = IndexedDataset::Open(prefix, kVocabulary);
  EXPECT_TRUE(dataset.ok()) << dataset.status();
  return *std::move(dataset);
}

Tokens ReadAll(const IndexedDataset& dataset) {
  Tokens tokens(static_cast<size_t>(dataset.token_count()));
  EXPECT_TRUE(dataset.Read(0, dataset.token_count(), tokens.data()).ok());
  return tokens;
}

std::vector<int64_t> Starts(const IndexedDataset& dataset, int64_t first, int64_t end) {
  std::vector<int64_t> starts;
  EXPECT_TRUE(dataset.AppendDocumentStarts(first, end, &starts).ok());
  return starts;
}

TEST(IndexedDatasetTest, ReadsWhatWasWrittenInEveryTokenType) {
  const std::string folder = ScratchFolder();
  for (TokenType type : {TokenType::kUint8, TokenType::kInt16, TokenType::kInt32, TokenType::kInt64,
                         TokenType::kUint16}) {
    const std::string prefix = folder + "/" + std::to_string(static_cast<int>(type));
    Write(prefix, type, {{7, 0, 255}, {1}});

    const auto dataset = Open(prefix);

    EXPECT_EQ(ReadAll(*dataset), (Tokens{7, 0, 255, 1}));
    EXPECT_EQ(dataset->document_count(), 2);
  }
}

TEST(IndexedDatasetTest, ReadsAnywhereAcrossItsBlocks) {
  const std::string prefix = ScratchFolder() + "/tokens";
  Tokens document(100000);
  for (size_t i = 0; i < document.size(); ++i) document[i] = static_cast<int32_t>(i * i % 251);
  Write(prefix, TokenType::kUint16, {document});

  const auto dataset = Open(prefix);

  for (int64_t first : {0, 1, 16383, 16384, 50001}) {
    Tokens tokens(40000);
    ASSERT_TRUE(dataset->Read(first, 40000, tokens.data()).ok());
    EXPECT_EQ(tokens, Tokens(document.begin() + first, document.begin() + first + 40000));
  }
}

TEST(IndexedDatasetTest, FindsTheDocumentsOfAnyRange) {
  const std::string prefix = ScratchFolder() + "/tokens";
  std::vector<Tokens> documents;
  std::vector<int64_t> starts;
  int64_t position = 0;
  for (int i = 0; i < 200; ++i) {
    documents.push_back(Tokens(1 + i % 7, 5));
    starts.push_back(position);
    position += 1 + i % 7;
  }
  Write(prefix, TokenType::kUint16, documents);
  const auto dataset = Open(prefix);

  for (int64_t first = 0; first < position; first += 3) {
    for (int64_t end : {first, first + 1, first + 20, position}) {
      std::vector<int64_t> expected;
      for (int64_t start : starts) {
        if (start >= first && start < end) expected.push_back(start);
      }
      ASSERT_EQ(Starts(*dataset, first, end), expected) << first << " to " << end;
    }
  }
}

TEST(IndexedDatasetTest, ADocumentOfSeveralSequencesIsOneDocument) {
  const std::string prefix = ScratchFolder() + "/tokens";
  Write(prefix, TokenType::kUint16, {{1, 2, 3, 4, 5}, {6}, {7, 8, 9}}, /*max_sequence_tokens=*/2);

  const auto dataset = Open(prefix);

  EXPECT_EQ(dataset->document_count(), 3);
  EXPECT_EQ(dataset->sequence_count(), 6);
  EXPECT_EQ(Starts(*dataset, 0, 9), (std::vector<int64_t>{0, 5, 6}));
  EXPECT_EQ(ReadAll(*dataset), (Tokens{1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST(IndexedDatasetTest, AcceptsMegatronsOptionalModes) {
  const std::string prefix = ScratchFolder() + "/tokens";
  Write(prefix, TokenType::kUint16, {{1, 2}, {3}});
  WriteText(prefix + ".idx", ReadText(prefix + ".idx") + std::string(2, '\0'));

  EXPECT_EQ(ReadAll(*Open(prefix)), (Tokens{1, 2, 3}));
}

TEST(IndexedDatasetTest, RefusesATokenBeyondTheVocabularyWhenItIsRead) {
  const std::string prefix = ScratchFolder() + "/tokens";
  Write(prefix, TokenType::kUint16, {{1, 2, 257, 3}});
  const auto dataset = Open(prefix);

  Tokens tokens(4);
  EXPECT_TRUE(dataset->Read(0, 2, tokens.data()).ok());
  ExpectError(dataset->Read(0, 4, tokens.data()), absl::StatusCode::kDataLoss,
              {"tokens.bin", "token 2", "257"});
}

TEST(IndexedDatasetTest, RefusesANegativeToken) {
  const std::string prefix = ScratchFolder() + "/tokens";
  Write(prefix, TokenType::kInt64, {{1, -2}});

  Tokens tokens(2);
  ExpectError(Open(prefix)->Read(0, 2, tokens.data()), absl::StatusCode::kDataLoss, {"token 1"});
}

TEST(IndexedDatasetTest, AFileThatShrinksWhileInUseIsAnErrorNotACrash) {
  const std::string prefix = ScratchFolder() + "/tokens";
  Write(prefix, TokenType::kUint16, {Tokens(1000, 1)});
  const auto dataset = Open(prefix);
  std::filesystem::resize_file(prefix + ".bin", 100);

  Tokens tokens(1000);
  ExpectError(dataset->Read(0, 1000, tokens.data()), absl::StatusCode::kDataLoss,
              {"tokens.bin", "cut short"});
}

TEST(IndexedDatasetTest, AMissingFileIsNamed) {
  ExpectError(IndexedDataset::Open("/nowhere/tokens", kVocabulary).status(),
              absl::StatusCode::kNotFound, {"/nowhere/tokens.bin"});
}

// Each case harms a good dataset of three sequences ({1,2} {3} {4,5,6}, u16) in one way.
struct Harm {
  const char* name;
  std::function<void(std::string* idx, std::string* bin)> apply;
  const char* file;   // that the error names
  const char* field;  // that the error names
};

template <class Number>
std::function<void(std::string*, std::string*)> Put(size_t offset, Number number) {
  return [=](std::string* idx, std::string*) {
    std::memcpy(idx->data() + offset, &number, sizeof(Number));
  };
}

constexpr size_t kLengths = 34;
constexpr size_t kOffsets = kLengths + 3 * 4;
constexpr size_t kDocuments = kOffsets + 3 * 8;

const Harm kHarms[] = {
    {"EmptyIndex", [](auto* idx, auto*) { idx->clear(); }, ".idx", "cut short"},
    {"HeaderCutShort", [](auto* idx, auto*) { idx->resize(33); }, ".idx", "header"},
    {"Magic", [](auto* idx, auto*) { (*idx)[0] = 'N'; }, ".idx", "magic"},
    {"MagicsZeros", [](auto* idx, auto*) { (*idx)[8] = 1; }, ".idx", "magic"},
    {"Version", Put<uint64_t>(9, 2), ".idx", "version: is 2"},
    {"TypeZero", Put<uint8_t>(17, 0), ".idx", "token type: is 0"},
    {"TypeFloat", Put<uint8_t>(17, 7), ".idx", "token type: is 7"},
    {"TypeUnknown", Put<uint8_t>(17, 99), ".idx", "token type: is 99"},
    {"NoSequences", Put<uint64_t>(18, 0), ".idx", "sequence count: is 0"},
    {"TooManySequences", Put<uint64_t>(18, 1000), ".idx", "sequence count: is 1000"},
    {"SequencesOverflow", Put<uint64_t>(18, (uint64_t{1} << 62) + 3), ".idx", "sequence count"},
    {"NoDocuments", Put<uint64_t>(26, 1), ".idx", "document count: is 1"},
    {"TooManyDocuments", Put<uint64_t>(26, 5), ".idx", "document count: is 5"},
    {"DocumentsOverflow", Put<uint64_t>(26, ~uint64_t{0}), ".idx", "document count"},
    {"FewerSequencesThanTheFile", Put<uint64_t>(18, 2), ".idx", "document count"},
    {"FewerDocumentsThanTheFile", Put<uint64_t>(26, 3), ".idx", "size"},
    {"IndexCutShort", [](auto* idx, auto*) { idx->pop_back(); }, ".idx", "size"},
    {"IndexExtended", [](auto* idx, auto*) { idx->push_back('x'); }, ".idx", "size"},
    {"ZeroLength", Put<int32_t>(kLengths + 4, 0), ".idx", "sequence 1 length: is 0"},
    {"NegativeLength", Put<int32_t>(kLengths, -1), ".idx", "sequence 0 length: is -1"},
    {"LengthBeyondTheEnd", Put<int32_t>(kLengths + 8, 4), ".bin", "sequence 2"},
    {"HugeLength", Put<int32_t>(kLengths, INT32_MAX), ".bin", "sequence 0"},
    {"FirstOffset", Put<int64_t>(kOffsets, 2), ".idx", "sequence 0 offset: is 2, expected 0"},
    {"FallingOffset", Put<int64_t>(kOffsets + 16, 2), ".idx", "sequence 2 offset: is 2"},
    {"NegativeOffset", Put<int64_t>(kOffsets + 8, -4), ".idx", "sequence 1 offset: is -4"},
    {"OffsetWithAHole", Put<int64_t>(kOffsets + 8, 6), ".idx", "expected 4"},
    {"FirstDocument", Put<int64_t>(kDocuments, 1), ".idx", "document index 0: is 1"},
    {"EmptyDocument", Put<int64_t>(kDocuments + 8, 0), ".idx", "document index 1: is 0"},
    {"FallingDocument", Put<int64_t>(kDocuments + 16, 1), ".idx", "document index 2: is 1"},
    {"DocumentBeyondTheEnd", Put<int64_t>(kDocuments + 8, 9), ".idx", "document index 1: is 9"},
    {"LastDocument", Put<int64_t>(kDocuments + 24, 4), ".idx", "document index 3"},
    {"EmptyTokens", [](auto*, auto* bin) { bin->clear(); }, ".bin", "cut short"},
    {"TokensCutShort", [](auto*, auto* bin) { bin->resize(10); }, ".bin", "sequence 2"},
    {"HalfAToken", [](auto*, auto* bin) { bin->pop_back(); }, ".bin", "whole number"},
    {"TokensExtended", [](auto*, auto* bin) { bin->append(2, 'x'); }, ".bin", "describes 12"},
};

TEST(IndexedDatasetTest, AnIndexThatIsOverwrittenWhileInUseIsAnErrorNotACrash) {
  const std::string prefix = ScratchFolder() + "/tokens";
  Write(prefix, TokenType::kUint16, {{1, 2}, {3}, {4, 5, 6}});
  const auto dataset = Open(prefix);
  for (const int64_t offset : {int64_t{0}, int64_t{-4}, INT64_MIN, INT64_MAX, int64_t{2}}) {
    std::fstream idx(prefix + ".idx", std::ios::in | std::ios::out | std::ios::binary);
    idx.seekp(kOffsets + 8);  // where the second of three documents begins
    idx.write(reinterpret_cast<const char*>(&offset), sizeof(offset));
    idx.close();

    std::vector<int64_t> starts;
    const absl::Status status = dataset->AppendDocumentStarts(0, 6, &starts);

    EXPECT_TRUE(std::is_sorted(starts.begin(), starts.end()));
    EXPECT_TRUE(std::adjacent_find(starts.begin(), starts.end()) == starts.end());
    if (offset != 2) ExpectError(status, absl::StatusCode::kDataLoss, {".idx", "while"});
  }
}

TEST(IndexedDatasetTest, NoFlippedBitOfTheFilesCanCrashTheirReader) {
  const std::string prefix = ScratchFolder() + "/tokens";
  Write(prefix, TokenType::kUint16, {{1, 2}, {3}, {4, 5, 6}}, /*max_sequence_tokens=*/2);
  for (const std::string& path : {prefix + ".idx", prefix + ".bin"}) {
    const std::string good = ReadText(path);
    for (size_t bit = 0; bit < 8 * good.size(); ++bit) {
      std::string bad = good;
      bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
      WriteText(path, bad);
      const auto dataset = IndexedDataset::Open(prefix, kVocabulary);
      if (!dataset.ok()) continue;
      std::vector<int64_t> starts;
      EXPECT_TRUE((*dataset)->AppendDocumentStarts(0, (*dataset)->token_count(), &starts).ok());
      Tokens tokens(static_cast<size_t>((*dataset)->token_count()));
      (void)(*dataset)->Read(0, (*dataset)->token_count(), tokens.data());
    }
    WriteText(path, good);
  }
}

class MalformedIndexTest : public ::testing::TestWithParam<Harm> {};

TEST_P(MalformedIndexTest, IsRefusedByName) {
  const std::string prefix = ScratchFolder() + "/tokens";
  Write(prefix, TokenType::kUint16, {{1, 2}, {3}, {4, 5, 6}});
  ASSERT_TRUE(IndexedDataset::Open(prefix, kVocabulary).ok());
  std::string idx = ReadText(prefix + ".idx");
  std::string bin = ReadText(prefix + ".bin");

  GetParam().apply(&idx, &bin);
  WriteText(prefix + ".idx", idx);
  WriteText(prefix + ".bin", bin);

  ExpectError(IndexedDataset::Open(prefix, kVocabulary).status(),
              absl::StatusCode::kInvalidArgument, {prefix + GetParam().file, GetParam().field});
}

INSTANTIATE_TEST_SUITE_P(Harms, MalformedIndexTest, ::testing::ValuesIn(kHarms),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace carousel
