#include "cluster/data/builder.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <zstd.h>

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "cluster/data/content_hash.h"
#include "cluster/data/dataset.h"
#include "cluster/data/tokenizer.h"
#include "tests/cluster/data/scratch.h"

namespace carousel {
namespace {

namespace fs = std::filesystem;
using absl::StatusCode;

std::string Compress(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

// The token stream of a built folder as text, "|" for a separator.
std::string StreamOf(const std::string& folder) {
  auto dataset = Dataset::OpenFolder(folder);
  EXPECT_TRUE(dataset.ok()) << dataset.status();
  if (!dataset.ok()) return "";
  const TokenSource& source = (*dataset)->source();
  std::vector<int32_t> tokens(static_cast<size_t>(source.token_count()));
  EXPECT_TRUE(source.Read(0, source.token_count(), tokens.data()).ok());
  std::string text;
  for (int32_t token : tokens) text += token == 256 ? '|' : static_cast<char>(token);
  return text;
}

// One test's inputs and output.
class BuilderTest : public ::testing::Test {
 protected:
  std::string Input(const std::string& name, std::string_view content) {
    const std::string path = WriteText(folder_ + "/" + name, content);
    options_.inputs.push_back(path);
    return path;
  }

  absl::StatusOr<DatasetManifest> Build() { return BuildDataset(options_); }

  void ExpectNothingLeft() {
    EXPECT_FALSE(fs::exists(options_.output));
    EXPECT_FALSE(fs::exists(options_.output + ".building"));
  }

  BuilderTest() : folder_(ScratchFolder()) { options_.output = folder_ + "/set"; }

  std::string folder_;
  BuildOptions options_;
};

TEST_F(BuilderTest, EachTextFileIsADocumentClosedByASeparator) {
  Input("a.txt", "first\n");
  Input("b.txt", "second");

  const auto manifest = Build();

  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(StreamOf(options_.output), "first\n|second|");
  EXPECT_EQ(manifest->documents, 2);
  EXPECT_EQ(manifest->tokens, 14);
  EXPECT_EQ(manifest->vocabulary, 257);
}

TEST_F(BuilderTest, AllFormatsMakeOneStreamInTheOrderGiven) {
  Input("a.txt", "a");
  Input("b.jsonl", "{\"text\":\"b1\"}\n{\"text\":\"b2\"}\n");
  Input("c.jsonl.zst", Compress("{\"text\":\"c\"}\n"));
  Input("d.txt.zst", Compress("d"));

  const auto manifest = Build();

  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(StreamOf(options_.output), "a|b1|b2|c|d|");
  std::vector<std::string> formats;
  std::vector<int64_t> documents;
  for (const DatasetSource& source : manifest->sources) {
    formats.push_back(source.format);
    documents.push_back(source.documents);
    EXPECT_EQ(source.content.xxh3_128, ContentHash(ReadText(source.path)));
    EXPECT_EQ(source.content.bytes, static_cast<int64_t>(fs::file_size(source.path)));
  }
  EXPECT_EQ(formats, (std::vector<std::string>{"text", "jsonl", "jsonl.zst", "text.zst"}));
  EXPECT_EQ(documents, (std::vector<int64_t>{1, 2, 1, 1}));
}

TEST_F(BuilderTest, AnyBytesComeThroughUnchanged) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  bytes += "\r\n\xff\xfe";
  Input("a.bin", bytes);

  ASSERT_TRUE(Build().ok());

  EXPECT_EQ(StreamOf(options_.output), bytes + "|");
}

TEST_F(BuilderTest, TheSeparatorRuleIsApplied) {
  options_.document_separator = "%%";
  Input("a.txt", "a\n%%\nb\n");

  ASSERT_TRUE(Build().ok());

  EXPECT_EQ(StreamOf(options_.output), "a\n|b\n|");
}

TEST_F(BuilderTest, EmptyDocumentsAreSkippedAndCounted) {
  Input("a.txt", "");
  Input("b.jsonl", "{\"text\":\"\"}\n{\"text\":\"b\"}\n");

  const auto manifest = Build();

  ASSERT_TRUE(manifest.ok()) << manifest.status();
  EXPECT_EQ(StreamOf(options_.output), "b|");
  EXPECT_EQ(manifest->empty_documents, 2);
  EXPECT_EQ(manifest->documents, 1);
}

TEST_F(BuilderTest, TheSameTextGivesTheSameBytes) {
  Input("a.txt", "some text");
  ASSERT_TRUE(Build().ok());
  const std::string first = options_.output;
  options_.output = folder_ + "/again";
  ASSERT_TRUE(Build().ok());

  for (const char* name : {"/manifest.json", "/tokens.bin", "/tokens.idx"}) {
    EXPECT_EQ(ReadText(first + name), ReadText(options_.output + name)) << name;
  }
}

TEST_F(BuilderTest, TheFolderHoldsThreeFiles) {
  Input("a.txt", "some text");
  ASSERT_TRUE(Build().ok());

  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(options_.output)) {
    names.insert(entry.path().filename().string());
  }
  EXPECT_EQ(names, (std::set<std::string>{"manifest.json", "tokens.bin", "tokens.idx"}));
}

TEST_F(BuilderTest, HeldOutBlocksAreFixedAndRecorded) {
  Input("a.txt", std::string(1000, 'x'));
  options_.held_out_block_tokens = 10;
  options_.held_out_every = 20;

  const auto manifest = Build();

  ASSERT_TRUE(manifest.ok());
  EXPECT_EQ(manifest->held_out, (HeldOutRule{10, 20, 7}));
  EXPECT_EQ(*ReadManifest(options_.output), *manifest);
}

TEST_F(BuilderTest, ProgressReachesItsTotal) {
  Input("a.txt", std::string(3 << 20, 'x'));
  Input("b.txt.zst", Compress(std::string(1 << 20, 'y')));
  std::vector<BuildProgress> reports;
  options_.progress = [&](const BuildProgress& progress) {
    reports.push_back(progress);
    return true;
  };

  ASSERT_TRUE(Build().ok());

  ASSERT_GT(reports.size(), 10u);
  for (size_t i = 1; i < reports.size(); ++i) {
    EXPECT_GE(reports[i].bytes_done, reports[i - 1].bytes_done);
    EXPECT_EQ(reports[i].bytes_total, reports[0].bytes_total);
  }
  EXPECT_EQ(reports.back().bytes_done, reports.back().bytes_total);
  EXPECT_EQ(reports.back().documents, 2);
  EXPECT_EQ(reports.back().tokens, (4 << 20) + 2);
}

TEST_F(BuilderTest, CanBeStoppedAndThenLeavesNothing) {
  Input("a.txt", std::string(4 << 20, 'x'));
  options_.progress = [](const BuildProgress& progress) { return progress.bytes_done < 2 << 20; };

  ExpectError(Build().status(), StatusCode::kCancelled, {"stopped"});
  ExpectNothingLeft();
}

TEST_F(BuilderTest, NoTextAtAllIsAnError) {
  Input("a.txt", "");
  Input("b.jsonl", "\n");

  ExpectError(Build().status(), StatusCode::kInvalidArgument, {"a.txt", "1 more", "no text"});
  ExpectNothingLeft();
}

TEST_F(BuilderTest, AnUnreadablePathIsNamedBeforeAnythingIsWritten) {
  Input("a.txt", "text");
  options_.inputs.push_back(folder_ + "/missing.txt");
  ExpectError(Build().status(), StatusCode::kNotFound, {"missing.txt", "No such file"});

  options_.inputs.back() = folder_;
  ExpectError(Build().status(), StatusCode::kInvalidArgument, {folder_, "is a folder"});
  ExpectNothingLeft();
}

TEST_F(BuilderTest, ABadLineIsNamedAndNothingIsLeft) {
  Input("a.txt", "text");
  const std::string path = Input("b.jsonl", "{\"text\":\"b\"}\n{\"txt\":\"b\"}\n");

  ExpectError(Build().status(), StatusCode::kInvalidArgument, {path + ":2:", "\"text\""});
  ExpectNothingLeft();
}

TEST_F(BuilderTest, ADamagedZstdFileIsNamedAndNothingIsLeft) {
  std::string lines;
  for (int i = 0; i < 1000; ++i) lines += "{\"text\":\"" + std::to_string(i * i) + "\"}\n";
  const std::string whole = Compress(lines);
  const std::string path = Input("a.jsonl.zst", whole.substr(0, whole.size() - 3));

  ExpectError(Build().status(), StatusCode::kInvalidArgument, {path, "cut short"});
  ExpectNothingLeft();
}

TEST_F(BuilderTest, BadOptionsAreNamed) {
  ExpectError(Build().status(), StatusCode::kInvalidArgument, {"input files: none"});
  Input("a.txt", "text");
  const auto refused = [&](auto change, std::initializer_list<std::string_view> words) {
    const BuildOptions good = options_;
    change(&options_);
    ExpectError(Build().status(), StatusCode::kInvalidArgument, words);
    options_ = good;
  };
  refused([](auto* o) { o->held_out_every = 1; }, {"held-out every: is 1"});
  refused([](auto* o) { o->held_out_every = -1; }, {"held-out every: is -1"});
  refused([](auto* o) { o->held_out_block_tokens = 1; }, {"held-out block: is 1"});
  refused([](auto* o) { o->text_field = ""; }, {"text field"});
  refused([](auto* o) { o->document_separator = "a\nb"; }, {"document separator"});
  refused([](auto* o) { o->document_separator = "\xff"; }, {"document separator"});
  refused([](auto* o) { o->document_separator = std::string(5000, '-'); }, {"document separator"});
  refused([](auto* o) { o->output = ""; }, {"output folder"});
  ExpectNothingLeft();
}

TEST_F(BuilderTest, AnExistingFolderIsNotTouched) {
  Input("a.txt", "text");
  fs::create_directory(options_.output);
  WriteText(options_.output + "/mine", "x");

  ExpectError(Build().status(), StatusCode::kAlreadyExists, {options_.output, "already exists"});
  EXPECT_EQ(ReadText(options_.output + "/mine"), "x");
}

TEST_F(BuilderTest, AFullDiskIsAnErrorAndLeavesNothing) {
  Input("a.txt", std::string(8 << 20, 'x'));
  // A limit on the size of files stands in for a disk: the write fails in the same place.
  signal(SIGXFSZ, SIG_IGN);
  struct rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  struct rlimit small = before;
  small.rlim_cur = 4 << 20;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);

  const absl::Status status = Build().status();

  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  ExpectError(status, StatusCode::kResourceExhausted, {"tokens.bin", "cannot write"});
  ExpectNothingLeft();
}

TEST_F(BuilderTest, KnowsTheSameDatasetAgain) {
  const std::string path = Input("a.txt", "text of some length");
  Input("b.jsonl", "{\"text\":\"b\"}\n");
  ExpectError(CheckAlreadyBuilt(options_), StatusCode::kNotFound, {"no dataset there"});
  ASSERT_TRUE(Build().ok());

  EXPECT_TRUE(CheckAlreadyBuilt(options_).ok()) << CheckAlreadyBuilt(options_);

  fs::rename(path, folder_ + "/moved.txt");
  options_.inputs[0] = folder_ + "/moved.txt";
  EXPECT_TRUE(CheckAlreadyBuilt(options_).ok()) << CheckAlreadyBuilt(options_);
}

TEST_F(BuilderTest, NamesWhatMakesADatasetAnother) {
  Input("a.txt", "text of some length");
  Input("b.jsonl", "{\"text\":\"b\",\"body\":\"c\"}\n");
  options_.held_out_block_tokens = 4;
  ASSERT_TRUE(Build().ok());
  const auto differs = [&](auto change, std::string_view word) {
    const BuildOptions good = options_;
    change(&options_);
    ExpectError(CheckAlreadyBuilt(options_), StatusCode::kFailedPrecondition,
                {options_.output, word});
    options_ = good;
  };
  differs([](auto* o) { o->document_separator = ""; }, "document separator");
  differs([](auto* o) { o->text_field = "body"; }, "text field");
  differs([](auto* o) { o->held_out_every = 0; }, "held-out");
  differs([](auto* o) { o->inputs.pop_back(); }, "built from 2 files, not 1");
  differs([](auto* o) { std::swap(o->inputs[0], o->inputs[1]); }, "b.jsonl");
  WriteText(options_.inputs[0], "text of same length");
  differs([](auto*) {}, "a.txt");
}

}  // namespace
}  // namespace carousel
