#include "cluster/data/document_splitter.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace carousel {
namespace {

using Documents = std::vector<std::string>;

class Collector : public DocumentSink {
 public:
  absl::Status AddText(std::string_view text) override {
    open_.append(text);
    return absl::OkStatus();
  }
  absl::Status EndDocument() override {
    documents.push_back(std::move(open_));
    open_.clear();
    return absl::OkStatus();
  }
  Documents documents;

 private:
  std::string open_;
};

// Fed in pieces of every size, the result must not depend on where the pieces end.
Documents Split(const std::optional<std::string>& separator, const std::string& text) {
  Documents whole;
  for (size_t piece = text.size() + 1; piece >= 1; --piece) {
    Collector collector;
    DocumentSplitter splitter(separator, &collector);
    for (size_t at = 0; at < text.size(); at += piece) {
      EXPECT_TRUE(splitter.Add(std::string_view(text).substr(at, piece)).ok());
    }
    EXPECT_TRUE(splitter.Finish().ok());
    if (piece == text.size() + 1) whole = collector.documents;
    EXPECT_EQ(collector.documents, whole) << "in pieces of " << piece;
  }
  return whole;
}

TEST(DocumentSplitterTest, WithoutASeparatorTheTextIsOneDocument) {
  EXPECT_EQ(Split(std::nullopt, "a\n\nb\r\n"), (Documents{"a\n\nb\r\n"}));
  EXPECT_EQ(Split(std::nullopt, ""), (Documents{""}));
}

TEST(DocumentSplitterTest, EmptyLinesSeparateParagraphs) {
  EXPECT_EQ(Split("", "a\nb\n\nc\n"), (Documents{"a\nb\n", "c\n"}));
}

TEST(DocumentSplitterTest, SeveralEmptyLinesSeparateOnce) {
  EXPECT_EQ(Split("", "\n\na\n\n\n\nb"), (Documents{"a\n", "b"}));
  EXPECT_EQ(Split("", "\n\n\n"), (Documents{}));
}

TEST(DocumentSplitterTest, WindowsLineEndsSeparateTooAndAreKeptInText) {
  EXPECT_EQ(Split("", "a\r\n\r\nb\r\n"), (Documents{"a\r\n", "b\r\n"}));
  EXPECT_EQ(Split("---", "a\r\n---\r\nb\r\n"), (Documents{"a\r\n", "b\r\n"}));
}

TEST(DocumentSplitterTest, ALineOfItsOwnSeparatesAndBelongsToNoDocument) {
  EXPECT_EQ(Split("<|end|>", "a\n<|end|>\nb\n\nc\n<|end|>\n"), (Documents{"a\n", "b\n\nc\n"}));
  EXPECT_EQ(Split("<|end|>", "a\n<|end|>"), (Documents{"a\n"}));
  EXPECT_EQ(Split("<|end|>", "<|end|>\n<|end|>\na"), (Documents{"a"}));
}

TEST(DocumentSplitterTest, ALineThatOnlyContainsTheSeparatorIsText) {
  EXPECT_EQ(Split("---", "a\n----\n--\n ---\n---x\n---\r\r\n---\rb\nb"),
            (Documents{"a\n----\n--\n ---\n---x\n---\r\r\n---\rb\nb"}));
}

TEST(DocumentSplitterTest, AnUnfinishedSeparatorAtTheEndIsText) {
  EXPECT_EQ(Split("---", "a\n--"), (Documents{"a\n--"}));
}

TEST(DocumentSplitterTest, AnyBytesAreText) {
  const std::string bytes("\xff\0\xc3\n\n\x80", 6);
  EXPECT_EQ(Split("", bytes), (Documents{std::string("\xff\0\xc3\n", 4), "\x80"}));
}

}  // namespace
}  // namespace carousel
