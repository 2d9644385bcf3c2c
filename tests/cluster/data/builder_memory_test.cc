// A dataset is built in constant memory, however long the text, a document or the list of documents
// is.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zstd.h>

#include <filesystem>
#include <fstream>
#include <ostream>
#include <string>

#include "cluster/data/builder.h"
#include "tests/cluster/data/scratch.h"

namespace carousel {
namespace {

constexpr int64_t kMiB = 1 << 20;
constexpr int64_t kShort = 16 * kMiB, kLong = 64 * kMiB;
constexpr int64_t kSlack = 2 * kMiB;  // far below what a word for each document would take

struct Kind {
  const char* title;
  const char* name;         // of the input file
  const char* before_line;  // what stands before and after each line of the text
  const char* after_line;
  bool separated_by_blanks;
};
void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.title; }

class BuilderMemory : public ::testing::TestWithParam<Kind> {
 protected:
  // Writes a text of about so many bytes a piece at a time: this process stays small.
  std::string WriteInput(int64_t bytes) const {
    const std::string path = folder_ + "/" + std::to_string(bytes) + GetParam().name;
    std::ofstream file(path, std::ios::binary);
    std::string piece;
    int64_t line = 0;
    for (int64_t written = 0; written < bytes; written += static_cast<int64_t>(piece.size())) {
      piece.clear();
      while (static_cast<int64_t>(piece.size()) < kMiB) {
        piece += GetParam().before_line;
        for (int word = 0; word < 3; ++word) piece += std::to_string(++line * 2654435761u) + " ";
        piece += GetParam().after_line;
      }
      file << (path.ends_with(".zst") ? Compressed(piece) : piece);
    }
    return path;
  }
  static std::string Compressed(const std::string& text) {
    std::string out(ZSTD_compressBound(text.size()), '\0');
    out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 1));
    return out;  // frames may follow each other in a file
  }

  // Of a process that builds the dataset and does nothing else; -1 if it could not.
  int64_t PeakOfBuilding(int64_t bytes) const {
    BuildOptions options;
    options.inputs = {WriteInput(bytes)};
    options.output = folder_ + "/set" + std::to_string(bytes);
    if (GetParam().separated_by_blanks) options.document_separator = "";
    const pid_t child = fork();
    if (child == 0) {
      const auto manifest = BuildDataset(options);
      if (!manifest.ok()) std::fprintf(stderr, "%s\n", manifest.status().ToString().c_str());
      // All of it was read: separators and the words of JSON are no tokens of the text.
      _exit(manifest.ok() && manifest->tokens > bytes / 2 ? 0 : 1);
    }
    int status = 0;
    struct rusage usage = {};
    EXPECT_EQ(wait4(child, &status, 0, &usage), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? usage.ru_maxrss * 1024 : -1;
  }

  const std::string folder_ = ScratchFolder();
};
INSTANTIATE_TEST_SUITE_P(Inputs, BuilderMemory,
                         ::testing::Values(Kind{"OneDocument", "text", "", " ", false},
                                           Kind{"ManyDocuments", "text", "", "\n\n", true},
                                           Kind{"JsonLines", "text.jsonl", "{\"text\": \"", "\"}\n",
                                                false},
                                           Kind{"CompressedJsonLines", "text.jsonl.zst",
                                                "{\"text\": \"", "\"}\n", false}),
                         [](const auto& info) { return std::string(info.param.title); });

TEST_P(BuilderMemory, ALongTextTakesNoMoreThanAShortOne) {
  const int64_t few = PeakOfBuilding(kShort);
  const int64_t many = PeakOfBuilding(kLong);

  ASSERT_GT(few, 0);
  ASSERT_GT(many, 0);
  std::printf("peak: %.1f MiB for 16 MiB of text, %.1f MiB for 64 MiB\n",
              static_cast<double>(few) / kMiB, static_cast<double>(many) / kMiB);
  EXPECT_LT(many, few + kSlack);
  std::filesystem::remove_all(folder_);
}

}  // namespace
}  // namespace carousel
