#include "cluster/data/indexed_writer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "cluster/data/content_hash.h"
#include "tests/cluster/data/scratch.h"

namespace carousel {
namespace {

using Document = std::vector<int32_t>;

IndexedTotals Write(const std::string& prefix, TokenType type,
                    const std::vector<Document>& documents,
                    int64_t max_sequence_tokens = kMaxSequenceTokens) {
  auto writer = IndexedWriter::Create(prefix, type, max_sequence_tokens);
  EXPECT_TRUE(writer.ok()) << writer.status();
  for (const Document& document : documents) {
    EXPECT_TRUE(writer->Append(document).ok());
    EXPECT_TRUE(writer->EndDocument().ok());
  }
  auto totals = writer->Finish();
  EXPECT_TRUE(totals.ok()) << totals.status();
  return *totals;
}

// Written out by hand from Megatron-LM's indexed_dataset.py.
TEST(IndexedWriterTest, WritesTheBytesThatMegatronWould) {
  const std::string prefix = ScratchFolder() + "/tokens";

  Write(prefix, TokenType::kUint16, {{'H', 'i', 256}, {'!', 256}});

  const std::string idx(
      "MMIDIDX\0\0"
      "\1\0\0\0\0\0\0\0"   // version
      "\x08"               // u16
      "\2\0\0\0\0\0\0\0"   // sequences
      "\3\0\0\0\0\0\0\0"   // document indices
      "\3\0\0\0\2\0\0\0"   // lengths
      "\0\0\0\0\0\0\0\0"   // offsets
      "\6\0\0\0\0\0\0\0"   //
      "\0\0\0\0\0\0\0\0"   // documents begin at these sequences
      "\1\0\0\0\0\0\0\0"   //
      "\2\0\0\0\0\0\0\0",  //
      34 + 2 * 4 + 2 * 8 + 3 * 8);
  EXPECT_EQ(ReadText(prefix + ".idx"), idx);
  EXPECT_EQ(ReadText(prefix + ".bin"), std::string("H\0i\0\0\1!\0\0\1", 10));
}

TEST(IndexedWriterTest, SaysWhatItWrote) {
  const std::string prefix = ScratchFolder() + "/tokens";

  const IndexedTotals totals = Write(prefix, TokenType::kInt32, {{1, 2, 3}, {4}});

  EXPECT_EQ(totals.tokens, 4);
  EXPECT_EQ(totals.documents, 2);
  EXPECT_EQ(totals.sequences, 2);
  EXPECT_EQ(totals.bin_bytes, static_cast<int64_t>(ReadText(prefix + ".bin").size()));
  EXPECT_EQ(totals.idx_bytes, static_cast<int64_t>(ReadText(prefix + ".idx").size()));
  EXPECT_EQ(totals.bin_hash, ContentHash(ReadText(prefix + ".bin")));
  EXPECT_EQ(totals.idx_hash, ContentHash(ReadText(prefix + ".idx")));
}

TEST(IndexedWriterTest, CutsADocumentBeyondTheLimitIntoSeveralSequences) {
  const std::string prefix = ScratchFolder() + "/tokens";

  const IndexedTotals totals =
      Write(prefix, TokenType::kUint8, {{1, 2, 3, 4, 5}, {6, 7}}, /*max_sequence_tokens=*/2);

  EXPECT_EQ(totals.sequences, 4);
  EXPECT_EQ(totals.documents, 2);
  const std::string idx = ReadText(prefix + ".idx");
  EXPECT_EQ(idx.substr(34, 16), std::string("\2\0\0\0\2\0\0\0\1\0\0\0\2\0\0\0", 16));
  EXPECT_EQ(idx.substr(34 + 4 * 12), std::string("\0\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0"
                                                 "\4\0\0\0\0\0\0\0",
                                                 24));
}

TEST(IndexedWriterTest, LeavesNoIndexBeforeItIsFinished) {
  const std::string folder = ScratchFolder();
  {
    auto writer = IndexedWriter::Create(folder + "/tokens", TokenType::kUint16);
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE(writer->Append(Document{1, 2}).ok());
    ASSERT_TRUE(writer->EndDocument().ok());
  }
  EXPECT_FALSE(std::filesystem::exists(folder + "/tokens.idx"));
}

TEST(IndexedWriterTest, LeavesNoSpillFilesBehind) {
  const std::string folder = ScratchFolder();

  Write(folder + "/tokens", TokenType::kUint16, {{1}});

  int files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++files;
  EXPECT_EQ(files, 2);
}

TEST(IndexedWriterTest, ChoosesTheTokenTypeAsMegatronDoes) {
  EXPECT_EQ(TokenTypeFor(257), TokenType::kUint16);
  EXPECT_EQ(TokenTypeFor(65499), TokenType::kUint16);
  EXPECT_EQ(TokenTypeFor(65500), TokenType::kInt32);
}

}  // namespace
}  // namespace carousel
