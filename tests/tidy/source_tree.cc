#include "tests/tidy/source_tree.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace carousel::tidy {
namespace {

constexpr std::string_view kFolders[] = {"bazel", "cluster", "coordinator", "kernels",
                                         "proto", "tests",   "worker"};
constexpr std::string_view kTextSuffixes[] = {".h",     ".cc",   ".cu",       ".proto", ".md",
                                              ".sh",    ".py",   ".bazel",    ".bzl",   ".BUILD",
                                              "/BUILD", ".yaml", "/WORKSPACE"};

bool IsText(std::string_view path) {
  return std::any_of(std::begin(kTextSuffixes), std::end(kTextSuffixes),
                     [&](std::string_view suffix) { return path.ends_with(suffix); });
}

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

bool IsWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// Walks over C++ and blanks what is not code.
class Blanker {
 public:
  explicit Blanker(std::string_view text) : out_(text) {}

  std::string Run() {
    while (at_ < out_.size()) Step();
    return std::move(out_);
  }

 private:
  bool StartsWith(std::string_view word) const { return out_.compare(at_, word.size(), word) == 0; }

  void Step() {
    if (StartsWith("//")) return BlankTo(out_.find('\n', at_));
    if (StartsWith("/*")) return BlankTo(After(out_.find("*/", at_ + 2), 2));
    if (out_[at_] == '#' && OnlySpaceBefore()) return BlankDirective();
    const bool separator = at_ > 0 && IsWord(out_[at_ - 1]);  // 500'000, and the R of R"(
    if (out_[at_] == '"') {
      return separator && out_[at_ - 1] == 'R' ? BlankRawString() : BlankQuoted('"');
    }
    if (out_[at_] == '\'' && !separator) return BlankQuoted('\'');
    ++at_;
  }

  size_t After(size_t found, size_t size) const {
    return found == std::string::npos ? found : found + size;
  }

  bool OnlySpaceBefore() const {
    size_t i = at_;
    while (i > 0 && (out_[i - 1] == ' ' || out_[i - 1] == '\t')) --i;
    return i == 0 || out_[i - 1] == '\n';
  }

  void BlankDirective() {
    size_t end = at_;
    do {
      end = out_.find('\n', end + 1);
    } while (end != std::string::npos && out_[end - 1] == '\\');
    BlankTo(end);
  }

  void BlankQuoted(char quote) {
    size_t end = at_ + 1;
    while (end < out_.size() && out_[end] != quote && out_[end] != '\n') {
      end += out_[end] == '\\' ? 2 : 1;
    }
    BlankTo(end + 1);
  }

  void BlankRawString() {
    const size_t open = out_.find('(', at_);
    if (open == std::string::npos) return BlankTo(open);
    const std::string close = ")" + out_.substr(at_ + 1, open - at_ - 1) + "\"";
    BlankTo(After(out_.find(close, open), close.size()));
  }

  void BlankTo(size_t end) {
    for (end = std::min(end, out_.size()); at_ < end; ++at_) {
      if (out_[at_] != '\n') out_[at_] = ' ';
    }
  }

  std::string out_;
  size_t at_ = 0;
};

}  // namespace

std::string Finding::ToString() const {
  return path + (line > 0 ? ":" + std::to_string(line) : "") + ": " + message;
}

std::string BlankNonCode(std::string_view text) { return Blanker(text).Run(); }

SourceFile MakeSource(std::string path, std::string text) {
  SourceFile file{.path = std::move(path), .text = std::move(text), .code = ""};
  if (file.IsCpp()) file.code = BlankNonCode(file.text);
  return file;
}

// A file of the runfiles leads to the tree: it is a link, or a chain of links, to the real one.
std::string RepositoryRoot() {
  const char* runfiles = std::getenv("TEST_SRCDIR");
  if (runfiles == nullptr) return std::filesystem::current_path();
  const auto link = std::filesystem::path(runfiles) / "carousel/tests/tidy/lengths.txt";
  return std::filesystem::canonical(link).parent_path().parent_path().parent_path();
}

std::vector<SourceFile> ReadTree(const std::string& root) {
  std::vector<SourceFile> files;
  for (std::string_view folder : kFolders) {
    const auto top = std::filesystem::path(root) / folder;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(top)) {
      const std::string path = entry.path().lexically_relative(root).string();
      if (entry.is_regular_file() && IsText(path)) {
        files.push_back(MakeSource(path, ReadFile(entry.path())));
      }
    }
  }
  for (const char* name : {"README.md", "WORKSPACE", "BUILD.bazel", ".bazelrc", ".ci/run"}) {
    files.push_back(MakeSource(name, ReadFile(std::filesystem::path(root) / name)));
  }
  std::sort(files.begin(), files.end(),
            [](const SourceFile& a, const SourceFile& b) { return a.path < b.path; });
  return files;
}

std::vector<std::string_view> Lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

bool Matches(std::string_view pattern, std::string_view path) {
  const size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == path;
  if (path.substr(0, star) != pattern.substr(0, star)) return false;
  for (size_t skip = star; skip <= path.size(); ++skip) {
    if (Matches(pattern.substr(star + 1), path.substr(skip))) return true;
  }
  return false;
}

bool MatchesAny(const std::vector<std::string_view>& patterns, std::string_view path) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](std::string_view pattern) { return Matches(pattern, path); });
}

}  // namespace carousel::tidy
