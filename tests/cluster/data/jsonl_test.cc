#include "cluster/data/jsonl.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cluster/data/printable.h"
#include "tests/cluster/data/scratch.h"

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

absl::StatusOr<Documents> Split(const std::string& text, const std::string& field = "text",
                                size_t piece = 5, int64_t max_line_bytes = kMaxJsonLineBytes) {
  Collector collector;
  JsonlSplitter splitter("corpus.jsonl", field, &collector, max_line_bytes);
  for (size_t at = 0; at < text.size(); at += piece) {
    absl::Status status = splitter.Add(std::string_view(text).substr(at, piece));
    if (!status.ok()) return status;
  }
  absl::Status status = splitter.Finish();
  if (!status.ok()) return status;
  return collector.documents;
}

void ExpectDocuments(const absl::StatusOr<Documents>& documents, const Documents& expected) {
  ASSERT_TRUE(documents.ok()) << documents.status();
  EXPECT_EQ(*documents, expected);
}

TEST(JsonlTest, EachLineIsADocument) {
  ExpectDocuments(Split("{\"text\": \"one\"}\n{\"id\": 2, \"text\": \"two\"}\n"), {"one", "two"});
}

TEST(JsonlTest, TheLastLineNeedsNoLineFeed) { ExpectDocuments(Split("{\"text\":\"a\"}"), {"a"}); }

TEST(JsonlTest, EscapesAreTakenForWhatTheyMean) {
  ExpectDocuments(Split(R"({"text":"a\n\t\"\u00e9\ud83d\ude00"})"), {"a\n\t\"é😀"});
}

TEST(JsonlTest, BlankLinesAndWindowsLineEndsAreNoDocuments) {
  ExpectDocuments(Split("\r\n{\"text\":\"a\"}\r\n \t\n\n{\"text\":\"b\"}\r\n"), {"a", "b"});
}

TEST(JsonlTest, AnEmptyTextIsAnEmptyDocument) { ExpectDocuments(Split("{\"text\":\"\"}"), {""}); }

TEST(JsonlTest, OnlyTheObjectsOwnFieldCounts) {
  ExpectDocuments(
      Split(R"({"meta":{"text":"no"},"list":[{"text":"no"},["text"]],"text":"yes","n":1.5e3})"),
      {"yes"});
  ExpectError(Split(R"({"meta":{"text":"no"}})").status(), absl::StatusCode::kInvalidArgument,
              {"corpus.jsonl:1", "\"text\"", "missing"});
}

TEST(JsonlTest, AnotherFieldCanBeNamed) {
  ExpectDocuments(Split(R"({"text":"no","body":"yes"})", "body"), {"yes"});
}

TEST(JsonlTest, AMissingFieldIsReportedWithItsLine) {
  ExpectError(Split("{\"text\":\"a\"}\n\n{\"txt\":\"b\"}\n").status(),
              absl::StatusCode::kInvalidArgument, {"corpus.jsonl:3:", "\"text\"", "missing"});
}

TEST(JsonlTest, AFieldThatIsNoStringIsReported) {
  for (const char* value : {"1", "-1", "1.5", "null", "true", "[\"a\"]", "{\"a\":1}"}) {
    ExpectError(Split("{\"text\":" + std::string(value) + "}").status(),
                absl::StatusCode::kInvalidArgument, {"corpus.jsonl:1:", "expected a string"});
  }
}

TEST(JsonlTest, ALineThatIsNoObjectIsReported) {
  for (const char* line : {"\"text\"", "[1]", "7", "null"}) {
    ExpectError(Split(line).status(), absl::StatusCode::kInvalidArgument,
                {"corpus.jsonl:1:", "expected a JSON object"});
  }
}

TEST(JsonlTest, BrokenJsonIsReported) {
  for (const char* line : {"{", "{\"text\":\"a\"", "{\"text\":\"a\"} x", "{'text':'a'}", "\x01",
                           "{\"text\":\"a", "{\"text\":\"\xff\"}", "plain text"}) {
    ExpectError(Split("{\"text\":\"a\"}\n" + std::string(line)).status(),
                absl::StatusCode::kInvalidArgument, {"corpus.jsonl:2:", "not valid JSON"});
  }
}

// The parser quotes what it read last.
TEST(JsonlTest, AnErrorDoesNotCarryTheTextsBytesToATerminal) {
  for (const char* line : {"{\"text\":\"\xff\"}", "\x1b[2J", "{\"text\":\"a\xc2\x9b\x7f\x1b\"}"}) {
    const std::string said(Split(line).status().message());
    EXPECT_EQ(Printable(said), said);
  }
}

TEST(JsonlTest, ATextMayHoldNulAndAnyCharacterThatJsonCanSay) {
  const auto documents = Split(R"({"text":"a\u0000b\ufffe"})");
  ASSERT_TRUE(documents.ok()) << documents.status();
  EXPECT_EQ(documents->front(), std::string("a\0b\xef\xbf\xbe", 6));
  ExpectError(Split(R"({"text\u0000":"a"})").status(), absl::StatusCode::kInvalidArgument,
              {"corpus.jsonl:1:", "missing"});
}

TEST(JsonlTest, NestingCannotExhaustTheStack) {
  const std::string deep(1000000, '[');
  ExpectError(Split("{\"a\":" + deep + "}", "text", 1 << 20).status(),
              absl::StatusCode::kInvalidArgument, {"corpus.jsonl:1:"});
}

TEST(JsonlTest, ALineBeyondTheLimitIsReportedBeforeItIsHeld) {
  ExpectError(Split("{\"text\":\"a\"}\n{\"text\":\"" + std::string(100, 'b') + "\"}\n", "text", 5,
                    /*max_line_bytes=*/50)
                  .status(),
              absl::StatusCode::kInvalidArgument, {"corpus.jsonl:2:", "more than 50 bytes"});
}

TEST(JsonlTest, TheResultDoesNotDependOnThePieces) {
  const std::string text = "{\"text\":\"a\"}\r\n\n{\"text\":\"bcd\"}";
  for (size_t piece = 1; piece <= text.size(); ++piece) {
    ExpectDocuments(Split(text, "text", piece), {"a", "bcd"});
  }
}

}  // namespace
}  // namespace carousel
