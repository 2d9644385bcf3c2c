// The byte tokenizer, the content hash, and text made safe for a terminal.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cluster/data/content_hash.h"
#include "cluster/data/printable.h"
#include "cluster/data/tokenizer.h"

namespace carousel {
namespace {

TEST(ByteTokenizerTest, GivesAnyBytesBack) {
  std::string text;
  for (int i = 0; i < 256; ++i) text += static_cast<char>(i);
  std::vector<int32_t> ids(256);

  ByteTokenizer::Encode(text, ids.data());

  for (int i = 0; i < 256; ++i) EXPECT_EQ(ids[i], i);
  EXPECT_EQ(ByteTokenizer::Decode(ids.data(), 256), text);
}

TEST(ByteTokenizerTest, ASeparatorIsNoText) {
  const int32_t ids[] = {'a', ByteTokenizer::kSeparator, 'b', -1};
  EXPECT_EQ(ByteTokenizer::Decode(ids, 4), "ab");
  EXPECT_EQ(ByteTokenizer::TextBytes(255), 1);
  EXPECT_EQ(ByteTokenizer::TextBytes(256), 0);
  EXPECT_EQ(ByteTokenizer::TextBytes(-1), 0);
}

// The published value for no input.
TEST(ContentHashTest, IsTheOneThatXxh128sumPrints) {
  EXPECT_EQ(ContentHash(""), "99aa06d3014798d86001c324468d497f");
}

TEST(ContentHashTest, DoesNotDependOnThePieces) {
  const std::string text(1000, 'x');
  ContentHasher hasher;
  for (char c : text) hasher.Update(std::string_view(&c, 1));
  EXPECT_EQ(hasher.Hex(), ContentHash(text));
  EXPECT_NE(hasher.Hex(), ContentHash(text + "x"));
}

TEST(PrintableTest, LeavesTextAlone) {
  for (const char* text : {"", "plain\n\ttext", "é ß 漢 😀"}) EXPECT_EQ(Printable(text), text);
}

TEST(PrintableTest, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(Printable("\x1b[2J\r\a\x7f"), "\\x1b[2J\\x0d\\x07\\x7f");
  EXPECT_EQ(Printable("\xc2\x9b"), "\\xc2\\x9b");           // C1: CSI in one character
  EXPECT_EQ(Printable("\xe2\x80\xae"), "\\xe2\\x80\\xae");  // right-to-left override
  EXPECT_EQ(Printable(std::string("\0", 1)), "\\x00");
}

TEST(PrintableTest, EscapesWhatIsNoUtf8) {
  EXPECT_EQ(Printable("a\xff"
                      "b"),
            "a\\xffb");
  EXPECT_EQ(Printable("\xc3"), "\\xc3");  // cut short
  EXPECT_EQ(Printable("\xe6\xbc"), "\\xe6\\xbc");
  EXPECT_EQ(Printable("\xc0\xaf"), "\\xc0\\xaf");  // overlong
  EXPECT_EQ(Printable("\xe0\x80\x80"), "\\xe0\\x80\\x80");
  EXPECT_EQ(Printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // a surrogate
  EXPECT_EQ(Printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // beyond U+10FFFF
}

}  // namespace
}  // namespace carousel
