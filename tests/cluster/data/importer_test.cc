#include "cluster/data/importer.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "cluster/data/batch_reader.h"
#include "cluster/data/content_hash.h"
#include "cluster/data/dataset.h"
#include "cluster/data/dataset_report.h"
#include "cluster/data/indexed_writer.h"
#include "proto/job.pb.h"
#include "tests/cluster/data/scratch.h"

namespace carousel {
namespace {

namespace fs = std::filesystem;
using absl::StatusCode;
using Tokens = std::vector<int32_t>;

const std::vector<Tokens> kDocuments = {{5, 40'000, 0}, {9, 0}, {50'256, 7, 7, 0}};

// A pair as another program leaves it, and where it shall go.
class ImporterTest : public ::testing::Test {
 protected:
  ImporterTest() : folder_(ScratchFolder()) {
    options_.prefix = folder_ + "/web_text_document";
    options_.output = folder_ + "/set";
    options_.vocabulary = 50'257;
    options_.held_out_block_tokens = 2;
  }

  void WritePair(TokenType type, const std::vector<Tokens>& documents = kDocuments,
                 int64_t max_sequence_tokens = kMaxSequenceTokens) {
    auto writer = IndexedWriter::Create(options_.prefix, type, max_sequence_tokens);
    ASSERT_TRUE(writer.ok()) << writer.status();
    for (const Tokens& document : documents) {
      ASSERT_TRUE(writer->Append(document).ok());
      ASSERT_TRUE(writer->EndDocument().ok());
    }
    ASSERT_TRUE(writer->Finish().ok());
  }

  absl::StatusOr<DatasetManifest> Import() { return ImportDataset(options_); }

  void ExpectRefused(StatusCode code, std::initializer_list<std::string_view> words) {
    ExpectError(Import().status(), code, words);
    EXPECT_FALSE(fs::exists(options_.output));
    EXPECT_FALSE(fs::exists(options_.output + ".building"));
  }

  std::string folder_;
  ImportOptions options_;
};

TEST_F(ImporterTest, TokensAndDocumentsAreThoseOfThePairInAnyType) {
  for (const TokenType type : {TokenType::kUint16, TokenType::kInt32, TokenType::kInt64}) {
    SCOPED_TRACE(static_cast<int>(type));
    fs::remove_all(options_.output);
    WritePair(type, kDocuments, /*max_sequence_tokens=*/3);

    const auto manifest = Import();

    ASSERT_TRUE(manifest.ok()) << manifest.status();
    const auto dataset = Dataset::OpenFolder(options_.output);
    ASSERT_TRUE(dataset.ok()) << dataset.status();
    Tokens tokens(9);
    std::vector<int64_t> starts;
    ASSERT_TRUE((*dataset)->source().Read(0, 9, tokens.data()).ok());
    ASSERT_TRUE((*dataset)->source().AppendDocumentStarts(0, 9, &starts).ok());
    EXPECT_EQ(tokens, (Tokens{5, 40'000, 0, 9, 0, 50'256, 7, 7, 0}));
    EXPECT_EQ(starts, (std::vector<int64_t>{0, 3, 5}));
    EXPECT_EQ((*dataset)->vocabulary(), 50'257);
    EXPECT_EQ(*(*dataset)->manifest(), *manifest);
  }
}

TEST_F(ImporterTest, TheManifestSaysWhatIsKnownAndWhatIsNot) {
  WritePair(TokenType::kUint16);
  options_.tokenizer = "EleutherAI/gpt-neox-20b";
  options_.separator = 0;

  const auto manifest = Import();

  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(manifest->tokenizer, "EleutherAI/gpt-neox-20b");
  EXPECT_EQ(manifest->separator_token, 0);
  EXPECT_FALSE(manifest->tokens_are_bytes());
  EXPECT_EQ(manifest->tokens, 9);
  EXPECT_EQ(manifest->documents, 3);
  EXPECT_EQ(manifest->held_out, (HeldOutRule{2, 50, 3}));
  EXPECT_EQ(manifest->bin.xxh3_128, ContentHash(ReadText(options_.prefix + ".bin")));
  EXPECT_EQ(manifest->idx.xxh3_128, ContentHash(ReadText(options_.prefix + ".idx")));
  ASSERT_EQ(manifest->sources.size(), 1u);
  EXPECT_EQ(manifest->sources[0].path, options_.prefix + ".bin");
  EXPECT_EQ(manifest->sources[0].format, "megatron");
}

TEST_F(ImporterTest, ACopyIsIndependentAndALinkIsTheSameFile) {
  WritePair(TokenType::kUint16);
  ASSERT_TRUE(Import().ok());
  EXPECT_EQ(fs::hard_link_count(options_.prefix + ".bin"), 1u);

  options_.output += "-linked";
  options_.link = true;
  const auto manifest = Import();

  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_TRUE(fs::equivalent(options_.prefix + ".bin", options_.output + "/tokens.bin"));
  EXPECT_TRUE(fs::equivalent(options_.prefix + ".idx", options_.output + "/tokens.idx"));
  EXPECT_EQ(*ReadManifest(folder_ + "/set"), *manifest);
  EXPECT_TRUE(VerifyDataset(options_.output, {})->problems.empty());
}

TEST_F(ImporterTest, ALinkGoesToTheFileBehindASymbolicOne) {
  WritePair(TokenType::kUint16);
  fs::create_directory(folder_ + "/elsewhere");
  for (const std::string ending : {".bin", ".idx"}) {
    fs::rename(options_.prefix + ending, folder_ + "/elsewhere/real" + ending);
    fs::create_symlink("elsewhere/real" + ending, options_.prefix + ending);
  }
  options_.link = true;

  ASSERT_TRUE(Import().ok());

  EXPECT_FALSE(fs::is_symlink(options_.output + "/tokens.bin"));
  EXPECT_TRUE(fs::equivalent(folder_ + "/elsewhere/real.bin", options_.output + "/tokens.bin"));
}

TEST_F(ImporterTest, ALinkAcrossFileSystemsIsRefusedWithTheWayOut) {
  std::string other = "/dev/shm/carousel-XXXXXX";
  if (mkdtemp(other.data()) == nullptr) GTEST_SKIP() << "no second file system to write to";
  WritePair(TokenType::kUint16);
  options_.output = other + "/set";
  options_.link = true;
  const absl::Status status = Import().status();
  fs::remove_all(other);
  if (status.ok()) GTEST_SKIP() << "/dev/shm is on the file system of the tests";
  ExpectError(status, StatusCode::kFailedPrecondition, {"cannot link", "copying"});
}

TEST_F(ImporterTest, TheFolderHoldsThreeFiles) {
  WritePair(TokenType::kInt32);
  ASSERT_TRUE(Import().ok());

  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(options_.output)) {
    names.insert(entry.path().filename().string());
  }
  EXPECT_EQ(names, (std::set<std::string>{"manifest.json", "tokens.bin", "tokens.idx"}));
}

TEST_F(ImporterTest, ATokenBeyondTheVocabularyIsNamedWithItsPlace) {
  WritePair(TokenType::kUint16);
  options_.vocabulary = 50'256;
  ExpectRefused(StatusCode::kInvalidArgument,
                {".bin: token 5 is 50256, not in the vocabulary of 50256", "tokenizer"});

  WritePair(TokenType::kInt32, {{1, -2}});
  ExpectRefused(StatusCode::kInvalidArgument, {"token 1 is -2"});
}

TEST_F(ImporterTest, ATokenIsFoundInTheLastOfManyPieces) {
  Tokens document(1'500'000, 3);
  document.back() = 50'300;
  WritePair(TokenType::kUint16, {document});
  ExpectRefused(StatusCode::kInvalidArgument, {"token 1499999 is 50300"});
}

TEST_F(ImporterTest, TheSeparatorMustEndEachDocumentAndMayStandElsewhere) {
  WritePair(TokenType::kUint16, {{1, 0}, {0, 2, 0}});
  options_.separator = 0;
  ASSERT_TRUE(Import().ok());
  EXPECT_TRUE(VerifyDataset(options_.output, {})->problems.empty());

  fs::remove_all(options_.output);
  WritePair(TokenType::kUint16, {{1, 0}, {0, 2}, {3, 0}});
  ExpectRefused(StatusCode::kInvalidArgument,
                {".bin: token 3 ends a document but is 2, not the separator 0"});

  WritePair(TokenType::kUint16, {{1, 0}, {0, 2}});
  ExpectRefused(StatusCode::kInvalidArgument, {"token 3 ends a document but is 2"});
}

TEST_F(ImporterTest, BytesThatWereMadeElsewhereAreBytes) {
  options_.tokenizer = "byte";
  options_.vocabulary = 257;
  WritePair(TokenType::kUint16, {{'a', 'b', 256}, {'c', 256}});
  ASSERT_TRUE(Import().ok());
  const auto dataset = Dataset::OpenFolder(options_.output);
  EXPECT_TRUE((*dataset)->tokens_are_bytes());
  EXPECT_EQ(InspectDataset(options_.output)->sample, "abc");

  fs::remove_all(options_.output);
  WritePair(TokenType::kUint16, {{'a', 256, 'b', 256}});
  ExpectRefused(StatusCode::kInvalidArgument, {"token 1 is a separator within a document"});
  options_.vocabulary = 258;
  ExpectRefused(StatusCode::kInvalidArgument, {"vocabulary: is 258", "\"byte\" is 257"});
}

TEST_F(ImporterTest, NoLabelOfATokenThatIsNoByteCountsAsText) {
  WritePair(TokenType::kUint16);
  options_.held_out_every = 0;
  ASSERT_TRUE(Import().ok());
  DataSpec spec;
  spec.set_dataset(options_.output);
  spec.set_sequence_length(4);

  const auto reader = BatchReader::ForTraining(*Dataset::Open(spec), spec);
  MicroBatch batch;
  ASSERT_TRUE(reader->Read(0, reader->windows(), &batch).ok());

  EXPECT_EQ(batch.predicted, 8);
  EXPECT_EQ(batch.predicted_bytes, 0);
}

TEST_F(ImporterTest, InspectingShowsTokensWhereThereIsNoText) {
  WritePair(TokenType::kUint16);
  ASSERT_TRUE(Import().ok());

  const auto summary = InspectDataset(options_.output, 4);

  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->sample, "");
  EXPECT_EQ(summary->sample_tokens, (Tokens{5, 40'000, 0, 9}));
  EXPECT_EQ(summary->documents.longest, 4);
}

TEST_F(ImporterTest, ProgressReachesItsTotalAndCanStop) {
  WritePair(TokenType::kUint16, {Tokens(2'000'000, 1)});
  int64_t last = 0;
  options_.progress = [&](int64_t done) {
    EXPECT_GT(done, last);
    last = done;
    return true;
  };
  ASSERT_TRUE(Import().ok());
  EXPECT_EQ(last, static_cast<int64_t>(fs::file_size(options_.prefix + ".bin") +
                                       fs::file_size(options_.prefix + ".idx")));

  fs::remove_all(options_.output);
  options_.progress = [](int64_t done) { return done < 2'000'000; };
  ExpectRefused(StatusCode::kCancelled, {"stopped"});
}

TEST_F(ImporterTest, WrongWishesAreNamed) {
  WritePair(TokenType::kUint16);
  const auto refused = [&](auto change, StatusCode code,
                           std::initializer_list<std::string_view> words) {
    const ImportOptions good = options_;
    change(&options_);
    ExpectError(Import().status(), code, words);
    options_ = good;
  };
  const auto invalid = StatusCode::kInvalidArgument;
  refused([](auto* o) { o->vocabulary = 0; }, invalid, {"vocabulary: is 0"});
  refused([](auto* o) { o->vocabulary = int64_t{1} << 31; }, invalid,
          {"vocabulary: is 2147483648"});
  refused([](auto* o) { o->separator = 50'257; }, invalid, {"separator: is 50257", "0 to 50256"});
  refused([](auto* o) { o->separator = -1; }, invalid, {"separator: is -1"});
  refused([](auto* o) { o->tokenizer = ""; }, invalid, {"tokenizer"});
  refused([](auto* o) { o->tokenizer = "a b"; }, invalid, {"tokenizer", "without blanks"});
  refused([](auto* o) { o->tokenizer = "a\x1b[2J"; }, invalid, {"tokenizer"});
  refused([](auto* o) { o->tokenizer = std::string(129, 'a'); }, invalid, {"1 to 128"});
  refused([](auto* o) { o->held_out_every = 1; }, invalid, {"held-out every: is 1"});
  refused([](auto* o) { o->held_out_block_tokens = 1; }, invalid, {"held-out block: is 1"});
  refused([](auto* o) { o->output = ""; }, invalid, {"output folder"});
  refused([](auto* o) { o->prefix += ".bin"; }, invalid, {"without .bin or .idx"});
  refused([](auto* o) { o->prefix += "x"; }, StatusCode::kNotFound, {"documentx.bin"});
  EXPECT_FALSE(fs::exists(options_.output));
}

TEST_F(ImporterTest, AnExistingFolderIsNotTouched) {
  WritePair(TokenType::kUint16);
  ASSERT_TRUE(Import().ok());
  ExpectError(Import().status(), StatusCode::kAlreadyExists, {options_.output, "already exists"});
}

// Each harms a good pair (u16, kDocuments) in one way; IndexedDataset's tests have the rest.
struct Harm {
  std::function<void(std::string* idx, std::string* bin)> apply;
  const char* file;
  const char* said;
};

TEST_F(ImporterTest, AMalformedPairIsRefusedByName) {
  const auto put = [](size_t offset, auto number) {
    return [=](std::string* idx, std::string*) {
      std::memcpy(idx->data() + offset, &number, sizeof(number));
    };
  };
  const Harm harms[] = {
      {[](auto* idx, auto*) { idx->clear(); }, ".idx", "cut short"},
      {[](auto* idx, auto*) { idx->assign(200, '\0'); }, ".idx", "no Megatron-LM index"},
      {put(9, uint64_t{2}), ".idx", "version: is 2"},
      {put(17, uint8_t{6}), ".idx", "token type: is 6"},
      {put(17, uint8_t{4}), ".bin", "size"},  // 9 tokens of 2 bytes are no whole number of 4
      {put(17, uint8_t{1}), ".idx", "sequence 1 offset"},
      {put(18, ~uint64_t{0}), ".idx", "sequence count"},
      {put(26, uint64_t{1} << 61), ".idx", "document count"},
      {put(34, int32_t{-3}), ".idx", "sequence 0 length: is -3"},
      {put(34, int32_t{0}), ".idx", "sequence 0 length: is 0"},
      {put(34 + 12 + 8, INT64_MIN), ".idx", "sequence 1 offset"},
      {put(34 + 36 + 8, int64_t{2}), ".idx", "document index 2: is 2"},
      {put(34 + 36 + 8, int64_t{-1}), ".idx", "document index 1: is -1"},
      {[](auto* idx, auto*) { idx->pop_back(); }, ".idx", "size"},
      {[](auto*, auto* bin) { bin->clear(); }, ".bin", "cut short"},
      {[](auto*, auto* bin) { bin->resize(bin->size() - 2); }, ".bin", "cut short"},
      {[](auto*, auto* bin) { bin->append(2, '\0'); }, ".bin", "do not belong together"},
  };
  WritePair(TokenType::kUint16);
  const std::string good_idx = ReadText(options_.prefix + ".idx");
  const std::string good_bin = ReadText(options_.prefix + ".bin");
  for (const Harm& harm : harms) {
    std::string idx = good_idx;
    std::string bin = good_bin;
    harm.apply(&idx, &bin);
    WriteText(options_.prefix + ".idx", idx);
    WriteText(options_.prefix + ".bin", bin);
    ExpectRefused(StatusCode::kInvalidArgument, {options_.prefix + harm.file, harm.said});
  }
}

TEST_F(ImporterTest, HalfAPairIsNamed) {
  WritePair(TokenType::kUint16);
  fs::remove(options_.prefix + ".idx");
  ExpectRefused(StatusCode::kNotFound, {"web_text_document.idx"});
}

}  // namespace
}  // namespace carousel
